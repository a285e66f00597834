"""Calendar files that go into a database: once, at their place, and never as an error."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.service import call_admin
from tests.unit.todo.transfer.ical.random_calendars import Generator

Import = Callable[..., str]


@pytest.fixture
def take(empty: dict[str, str], tmp_path: Path) -> Import:
    """Import tasks, each given by its lines; returns what the command prints."""

    def take(*tasks: str, options: tuple[str, ...] = ()) -> str:
        file = tmp_path / "calendar.ics"
        parts = [f"BEGIN:VTODO\n{each}\nEND:VTODO\n" for each in tasks]
        file.write_text(f"BEGIN:VCALENDAR\n{''.join(parts)}END:VCALENDAR\n")
        result = call_admin(
            empty, "import", "--format", "ical", "--owner", "alice", *options, str(file)
        )
        assert result.stderr == ""
        assert result.returncode == ("skipped: 0" not in result.stdout)
        return result.stdout

    return take


def stored(environment: dict[str, str], owner: str = "alice") -> dict[str, dict[str, Any]]:
    """Title -> task, of what an owner has."""
    result = call_admin(environment, "export", "--owner", owner)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    tasks = [record["task"] for record in records if "task" in record]
    assert len({each["title"] for each in tasks}) == len(tasks)
    return {each["title"]: each for each in tasks}


def change(environment: dict[str, str], statement: str) -> None:
    """Change the database as no request of this test would."""
    url = environment["TODO_DATABASE_URL"]
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute(statement)
        connection.commit()
        connection.close()
    else:
        with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as other:
            other.execute(statement)


CREATED = [
    *("CREATED:20260101T080000Z", "CREATED:20260401T080000Z", "SEQUENCE:3", "CREATED:nonsense"),
    *("CREATED:20260101", "CREATED:19010101T000000Z", "CREATED;TZID=Asia/Tokyo:20260101T080000"),
]


@pytest.mark.parametrize("first", CREATED[:3])
def test_a_task_is_found_again_by_its_uid_whenever_it_was_created(
    empty: dict[str, str], take: Import, first: str
) -> None:
    take(f"UID:a\nSUMMARY:stamps\n{first}")
    before = stored(empty)

    for other in CREATED:
        assert "imported: nothing; already present: 1;" in take(f"UID:a\nSUMMARY:stamps\n{other}")

    assert stored(empty) == before


def test_of_two_tasks_with_one_uid_and_other_times_in_one_file_one_is_taken(take: Import) -> None:
    printed = take(*(f"UID:a\nSUMMARY:stamps\n{created}" for created in CREATED[:3]))

    assert "imported: task 1; already present: 0; skipped: 2" in printed


def test_other_uids_and_owners_are_other_tasks(
    empty: dict[str, str], take: Import, tmp_path: Path
) -> None:
    take("UID:a\nSUMMARY:one", "UID:A\nSUMMARY:two", "UID:a b\nSUMMARY:three")
    assert len(stored(empty)) == 3

    file = str(tmp_path / "calendar.ics")
    other = call_admin(empty, "import", "--format", "ical", "--owner", "bob", file)
    assert other.stdout.startswith("imported: task 3;")


def test_a_part_finds_its_parent_of_an_earlier_import(empty: dict[str, str], take: Import) -> None:
    take("UID:p\nSUMMARY:parent\nCREATED:20260101T080000Z")
    take(
        "UID:p\nSUMMARY:parent\nCREATED:20260201T080000Z",
        "UID:c\nSUMMARY:child\nRELATED-TO:p",
    )

    tasks = stored(empty)
    assert tasks["child"]["parent_id"] == tasks["parent"]["id"]
    assert len(tasks) == 2


def test_a_part_goes_into_the_list_where_its_parent_is_by_now(
    empty: dict[str, str], take: Import
) -> None:
    list_id = "01900000-0000-7000-8000-000000000001"
    take("UID:p\nSUMMARY:parent")
    change(
        empty,
        "INSERT INTO list (id, owner, name, position, created_at, updated_at, version) VALUES"  # noqa: S608
        f" ('{list_id}', 'alice', 'Home', 0, '2026-01-01T00:00:00.000000+00:00',"
        " '2026-01-01T00:00:00.000000+00:00', 1)",
    )
    change(empty, f"UPDATE task SET list_id = '{list_id}'")  # noqa: S608

    printed = take("UID:p\nSUMMARY:parent", "UID:c\nSUMMARY:child\nRELATED-TO:p")

    tasks = stored(empty)
    assert "imported: task 1; already present: 1; skipped: 0" in printed
    assert tasks["child"]["list_id"] == tasks["parent"]["list_id"] == list_id
    assert tasks["child"]["parent_id"] == tasks["parent"]["id"]


def test_tasks_nest_no_deeper_than_the_service_allows(empty: dict[str, str], take: Import) -> None:
    lines = [f"UID:{n}\nSUMMARY:{n}\nRELATED-TO:{n - 1}" for n in range(9)]
    lines[0] = "UID:0\nSUMMARY:0"

    printed = take(*lines)

    tasks = stored(empty)
    assert [n for n in range(9) if tasks[str(n)]["parent_id"] is None] == [0, 5]
    assert (
        "RELATED-TO: tasks can be nested at most 5 levels deep; imported without parent" in printed
    )
    # A parent of the file before counts as well.
    assert "RELATED-TO: tasks can be nested" in take(
        *lines[:5], "UID:x\nSUMMARY:x\nRELATED-TO:4", "UID:y\nSUMMARY:y\nRELATED-TO:3"
    )
    tasks = stored(empty)
    assert (tasks["x"]["parent_id"], tasks["y"]["parent_id"]) == (None, tasks["3"]["id"])


def test_a_dry_run_says_the_same_and_takes_nothing(empty: dict[str, str], take: Import) -> None:
    lines = (
        "UID:1\nSUMMARY:a\nDUE:20270101",
        "UID:2\nSUMMARY:b\nDTSTART:20270101\nDURATION:P9999D",
    )

    dry = take(*lines, options=("--dry-run",))

    assert stored(empty) == {}
    assert take(*lines) == dry.replace("would import", "imported")


def test_random_tasks_go_in_without_an_error(empty: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "calendar.ics"
    file.write_bytes(Generator(7).make_tasks(700))
    arguments = ("import", "--format", "ical", "--owner", "alice", str(file))

    first, second = call_admin(empty, *arguments), call_admin(empty, *arguments)

    assert (first.returncode, first.stderr) == (1, "")
    assert "imported: task " in first.stdout
    assert (second.returncode, second.stderr) == (1, "")
    assert "imported: nothing; already present: " in second.stdout
    exported = call_admin(empty, "export", "--owner", "alice").stdout
    copy = tmp_path / "export"
    copy.write_text(exported)
    assert "skipped: 0" in call_admin(empty, "import", str(copy)).stdout
    assert call_admin(empty, "verify", "--state").returncode == 0


def test_a_line_with_many_reasons_says_the_first_and_how_many_more(take: Import) -> None:
    tags = ",".join(f"tag{number}" for number in range(30_000))

    printed = take(f"UID:1\nSUMMARY:Title\nCATEGORIES:{tags}")

    assert "line 5: skipped: CATEGORIES: 'tag10' is more than the 10 tags" in printed
    assert "; and 29980 more\n" in printed
    assert len(printed) < 2000
