"""Accounts that are written to a file and taken in from one."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import (
    Service,
    call_admin,
    open_folder,
    run_admin,
)

SAMPLES = Path(__file__).parents[2] / "unit" / "todo" / "transfer" / "ical" / "data"


@pytest.fixture
def client(service: Service, user: str) -> Iterator[httpx.Client]:
    with service.client(service.token(user)) as client:
        yield client


def fill(client: httpx.Client) -> None:
    """Make one of everything that an export has."""
    home = client.post("/api/v1/lists", json={"name": "Heim ⌂"}).json()["id"]
    client.put(f"/api/v1/lists/{home}/shares/bob", json={"access": "write"})
    tasks = [
        {"title": "Grüße 🦊", "description": "a\nb\t\"'\\ \u2028", "tags": ["x", "ü"]},
        {"title": "due", "due_at": "2027-03-28T02:30:00+01:00", "due_zone": "Europe/Berlin"},
        {"title": "day", "due_date": "2027-01-31", "recurrence": "FREQ=MONTHLY", "reminders": [9]},
        {"title": "listed", "list_id": home, "priority": "high", "position": 0.1},
        {"title": "far", "position": 1e15, "tags": ["\x7f", "</b>"]},
        {"title": "none", "position": -0.0},
    ]
    made = [client.post("/api/v1/tasks", json=task).json()["id"] for task in tasks]
    client.post("/api/v1/tasks", json={"title": "below", "parent_id": made[3]})
    client.post(f"/api/v1/tasks/{made[2]}/complete")
    client.post("/api/v1/assistant", json={"message": "help\n\u2028 🦊"})


def export(environment: dict[str, str], user: str) -> str:
    result = call_admin(environment, "export", "--owner", user)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_an_export_taken_in_elsewhere_is_exported_the_same(
    service: Service, client: httpx.Client, user: str, empty: dict[str, str], tmp_path: Path
) -> None:
    fill(client)
    first = export(service.environment, user)
    file = tmp_path / "export"
    file.write_text(first)

    taken = call_admin(empty, "import", str(file))
    second = export(empty, user)
    again = call_admin(empty, "import", str(file))

    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert "skipped: 0" in taken.stdout
    assert again.stdout.startswith("imported: nothing; already present: 14;")
    assert second == first


def test_the_least_id_is_exported_as_any_other(
    service: Service, client: httpx.Client, user: str, empty: dict[str, str], tmp_path: Path
) -> None:
    home = client.post("/api/v1/lists", json={"name": "Home"}).json()["id"]
    task = client.post("/api/v1/tasks", json={"title": "t", "list_id": home}).json()["id"]
    least = str(uuid.UUID(int=0))
    file = tmp_path / "export"
    file.write_text(export(service.environment, user).replace(home, least).replace(task, least))

    taken = call_admin(empty, "import", str(file))

    assert "skipped: 0" in taken.stdout
    assert export(empty, user) == file.read_text()


@pytest.mark.parametrize("empty", ["postgres"], indirect=True)
def test_the_order_of_an_export_is_not_that_of_the_databases_language(
    cluster: Cluster, empty: dict[str, str], tmp_path: Path
) -> None:
    url = empty["TODO_DATABASE_URL"]
    for table, column in (("account", "owner"), ("list_share", "user_id")):
        change = f'ALTER TABLE {table} ALTER {column} TYPE varchar(255) COLLATE "en-x-icu"'
        cluster.query(url, change)
    list_id, made = str(uuid.UUID(int=1)), "2026-01-01T00:00:00.000000+00:00"
    home = {"id": list_id, "owner": "Zoe", "name": "Home", "position": 0.0}
    home |= {"created_at": made, "updated_at": made, "version": 1}
    names = ["Bob", "Émile", "alice"]
    shares = [
        {"list_id": list_id, "user_id": name, "access": "read", "created_at": made}
        for name in sorted(names)
    ]
    records: list[dict[str, object]] = [{"todo-backend": {"format": 1}}]
    for name in sorted([*names, "Zoe"]):
        records.append({"account": {"owner": name, "zone": "UTC"}})
        if name == "Zoe":
            records.append({"list": home})
            records.extend({"share": share} for share in shares)
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records]
    file = tmp_path / "export"
    file.write_text("".join(f"{line}\n" for line in lines))

    assert call_admin(empty, "import", str(file)).returncode == 0
    assert call_admin(empty, "export").stdout == file.read_text()


def test_a_dry_run_reports_the_same_and_changes_nothing(
    service: Service, client: httpx.Client, user: str, empty: dict[str, str], tmp_path: Path
) -> None:
    fill(client)
    file = tmp_path / "export"
    file.write_text(export(service.environment, user))

    dry = run_admin(empty, "import", "--dry-run", str(file))
    missing = call_admin(empty, "export", "--owner", user)
    wet = call_admin(empty, "import", str(file))

    assert dry.stdout.replace("would import", "imported") == wet.stdout
    assert (dry.returncode, wet.returncode) == (0, 0)
    assert missing.returncode == 64
    assert "unknown account" in missing.stderr


def test_each_line_that_is_not_taken_is_named_with_its_reason(
    service: Service, client: httpx.Client, user: str, empty: dict[str, str], tmp_path: Path
) -> None:
    fill(client)
    lines = export(service.environment, user).removesuffix("\n").split("\n")
    tasks = [number for number, line in enumerate(lines) if line.startswith('{"task"')]
    parent = next(n for n in tasks if json.loads(lines[n])["task"]["title"] == "listed")
    child = next(n for n in tasks if json.loads(lines[n])["task"]["title"] == "below")
    lines[parent] = lines[parent].replace('"high"', '"urgent"')
    lines.append("{")
    lines.append(lines[tasks[0]])
    file = tmp_path / "export"
    file.write_text("\n".join(lines) + "\n")

    result = call_admin(empty, "import", str(file))

    assert result.returncode == 1
    told = dict(
        line.removeprefix("line ").split(": skipped: ") for line in result.stdout.splitlines()[:-1]
    )
    assert set(told) == {str(n + 1) for n in (parent, child, len(lines) - 2, len(lines) - 1)}
    assert told[str(parent + 1)].startswith("priority: ")
    assert told[str(child + 1)].startswith("parent_id: ")
    assert told[str(len(lines) - 1)].startswith("invalid JSON at column 1: ")
    assert told[str(len(lines))] == f"duplicates the ID on line {tasks[0] + 1}"


def test_a_share_that_is_not_taken_is_named_with_its_reason(
    empty: dict[str, str], tmp_path: Path
) -> None:
    list_id, made = str(uuid.UUID(int=1)), "2026-01-01T00:00:00.000000+00:00"
    home = {"id": list_id, "owner": "ann", "name": "Home", "position": 0.0}
    home |= {"created_at": made, "updated_at": made, "version": 1}
    share = {"list_id": list_id, "user_id": "ann", "access": "read", "created_at": made}
    records: list[dict[str, object]] = [
        {"todo-backend": {"format": 1}},
        {"account": {"owner": "ann", "zone": "UTC"}},
        {"list": home},
        {"share": share},
        {"share": {**share, "list_id": str(uuid.UUID(int=2)), "user_id": "bob"}},
    ]
    file = tmp_path / "export"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))

    result = call_admin(empty, "import", str(file))

    assert result.returncode == 1
    assert result.stdout.splitlines()[:-1] == [
        "line 4: skipped: user_id: is the owner of the list",
        "line 5: skipped: list_id: the list is not in this file",
    ]


def test_what_is_there_otherwise_is_left_alone(
    service: Service, client: httpx.Client, user: str, tmp_path: Path
) -> None:
    client.post("/api/v1/tasks", json={"title": "mine"})
    before = export(service.environment, user)
    file = tmp_path / "export"
    file.write_text(before.replace('"mine"', '"other"'))

    result = call_admin(service.environment, "import", str(file))

    assert result.returncode == 1
    assert "another entity with this ID already exists" in result.stdout
    assert export(service.environment, user) == before


def test_another_owners_lines_are_not_taken_when_one_is_asked_for(
    service: Service, client: httpx.Client, user: str, empty: dict[str, str], tmp_path: Path
) -> None:
    client.post("/api/v1/tasks", json={"title": "mine"})
    file = tmp_path / "export"
    file.write_text(export(service.environment, user))

    result = call_admin(empty, "import", "--owner", "somebody", str(file))

    assert result.stdout.endswith("imported: nothing; already present: 0; skipped: 2\n")


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.ics")), ids=lambda path: path.stem)
def test_a_calendar_file_goes_in_once_however_often_it_is_read(
    empty: dict[str, str], sample: Path
) -> None:
    arguments = ("import", "--format", "ical", "--owner", "alice", str(sample))

    first, second = call_admin(empty, *arguments), call_admin(empty, *arguments)

    assert first.stderr == second.stderr == ""
    assert first.stdout.splitlines()[:-1] == second.stdout.splitlines()[:-1]
    assert "imported: task " in first.stdout
    exported = export(empty, "alice")
    with open_folder() as folder:
        file = folder / "export"
        file.write_text(exported)
        assert "skipped: 0" in call_admin(empty, "import", str(file)).stdout
    assert export(empty, "alice") == exported


def test_a_file_that_is_not_there_is_one_line(empty: dict[str, str]) -> None:
    result = call_admin(empty, "import", "no-such-file")

    assert result.returncode == 64
    assert result.stderr == (
        "todo.admin: error: cannot read no-such-file: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "\ufeffBEGIN:VCALENDAR\r\nBEGIN:VTODO\r\n",
            "is a calendar file; --format ical --owner USER imports it",
        ),
        ("begin:vcalendar\nEND:VCALENDAR\n", "is a calendar file; --format ical"),
        ("root:x:0:0::/root:/bin/sh\n" * 3, "is not an export: it lacks the line "),
        ('{"task": {}}\n', 'is not an export: it lacks the line {"todo-backend":{"format":1}}'),
        ("", "is not an export"),
    ],
)
def test_another_kind_of_file_is_one_line(
    empty: dict[str, str], tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    result = call_admin(empty, "import", str(file))
    assert (result.returncode, result.stdout) == (64, "")
    assert result.stderr.startswith(f"todo.admin: error: {file} {said}")
    assert result.stderr.count("\n") == 1


def test_an_exported_file_is_for_its_owner_alone(empty: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "export"

    result = call_admin(empty, "export", "--output", str(file))

    assert (result.returncode, result.stderr) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == '{"todo-backend":{"format":1}}\n'
