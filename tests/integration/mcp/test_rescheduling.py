"""Moves of dues: what a text does not name stays as the task has it."""

from datetime import datetime
from typing import Any

import pytest

from tests.integration.mcp.agents import Agent
from tests.integration.users import Person, read

TASKS = "/api/v1/tasks"
UNKNOWN = "019ab000-0000-7000-8000-000000000001"


def move(agent: Agent, task: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    (moved,) = agent.do("reschedule_tasks", tasks=[{"id": task["id"], **fields}])["tasks"]
    return dict(moved)


def add(alice: Person, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    task: dict[str, Any] = alice.create(TASKS, title="t", **fields)
    return task


def in_zone(due_at: str, zone: str = "Europe/Berlin") -> dict[str, str]:
    return {"due_at": due_at, "due_zone": zone}


WEEKLY = {"recurrence": "FREQ=WEEKLY;BYDAY=MO"}
NIGHT = in_zone("2027-03-22T02:30:00+01:00")
# The clocks of Berlin skip the hour after two o'clock on this day.
GAP = "2027-03-28"


@pytest.mark.parametrize("to_gap", [GAP, f"{GAP} 02:30", "+6 days", "6 days later"])
def test_a_series_keeps_its_time_of_day_over_a_gap(
    agent: Agent, alice: Person, to_gap: str
) -> None:
    task = add(alice, **NIGHT, **WEEKLY)

    assert move(agent, task, due=to_gap)["due_at"] == f"{GAP}T03:30:00+02:00"
    assert move(agent, task, due="2027-03-29")["due_at"] == "2027-03-29T02:30:00+02:00"
    assert move(agent, task, due="2027-11-01")["due_at"] == "2027-11-01T02:30:00+01:00"
    assert read(alice.http.get(f"{TASKS}/{task['id']}"))["recurrence"] == WEEKLY["recurrence"]


def test_the_next_occurrence_after_a_gap_has_the_time_of_the_series(
    agent: Agent, alice: Person
) -> None:
    task = add(alice, **NIGHT, **WEEKLY)
    move(agent, task, due=GAP)
    move(agent, task, recurrence="every monday")

    (following,) = agent.do("complete_tasks", tasks=[{"id": task["id"]}])["next"]

    assert following["due_at"] == "2027-03-29T02:30:00+02:00"


def test_a_recurrence_that_comes_with_the_move_keeps_the_time_as_well(
    agent: Agent, alice: Person
) -> None:
    task = add(alice, **NIGHT)
    move(agent, task, due=GAP, recurrence="every day")

    assert move(agent, task, due="2027-03-29")["due_at"] == "2027-03-29T02:30:00+02:00"


def test_a_time_in_the_gap_is_kept_only_by_a_series(agent: Agent, alice: Person) -> None:
    task = add(alice, **NIGHT)
    move(agent, task, due=GAP)

    assert move(agent, task, due="2027-03-29")["due_at"] == "2027-03-29T03:30:00+02:00"


@pytest.mark.parametrize(
    ("time", "clock"),
    [
        ("15:00", "15:00"),
        ("9:00", "09:00"),
        ("at 4pm", "16:00"),
        ("by 5pm", "17:00"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("half past 8", "08:30"),
        ("in the evening", "19:00"),
    ],
)
def test_a_time_alone_keeps_the_day(agent: Agent, alice: Person, time: str, clock: str) -> None:
    timed = add(alice, **in_zone("2027-01-10T09:00:00+01:00"), recurrence="FREQ=DAILY")
    on_day = add(alice, due_date="2027-01-10")

    for task in (timed, on_day):
        assert move(agent, task, due=time)["due_at"] == f"2027-01-10T{clock}:00+01:00"


def test_a_time_alone_is_the_next_one_for_a_task_without_a_due(agent: Agent) -> None:
    (expected,) = agent.do("add_tasks", tasks=[{"title": "a", "due": "15:00"}])["tasks"]
    (task_id,) = agent.add("b")

    assert move(agent, {"id": task_id}, due="15:00")["due_at"] == expected["due_at"]


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ("2027-01-10 15:00", "2027-01-10T15:00:00+09:00"),
        ("2027-01-11T15:00", "2027-01-11T15:00:00+09:00"),
        ("15:00", "2027-01-09T15:00:00+09:00"),
        ("2027-01-12", "2027-01-12T10:00:00+09:00"),
        ("2027-01-10T15:00+01:00", "2027-01-10T23:00:00+09:00"),
        ("2027-01-10T15:00Z", "2027-01-11T00:00:00+09:00"),
        ("10 january 2027 at 8:00 GMT", "2027-01-10T17:00:00+09:00"),
        ("1 hour later", "2027-01-09T11:00:00+09:00"),
    ],
)
def test_a_time_is_read_in_the_zone_of_the_task(
    agent: Agent, alice: Person, due: str, expected: str
) -> None:
    task = add(alice, **in_zone("2027-01-09T10:00:00+09:00", "Asia/Tokyo"), recurrence="FREQ=DAILY")

    result = agent.call("reschedule_tasks", tasks=[{"id": task["id"], "due": due}])

    (moved,) = result.data["tasks"]
    assert (moved["due_at"], moved["due_zone"]) == (expected, "Asia/Tokyo")
    assert "(Asia/Tokyo)" in result.text


def test_today_is_that_of_the_account(agent: Agent, alice: Person) -> None:
    # Somewhere it is always another day than in Berlin.
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        task = add(alice, **in_zone("2027-01-09T10:00:00Z", zone))
        result = agent.do("reschedule_tasks", tasks=[{"id": task["id"], "due": "today 23:45"}])
        assert result["tasks"][0]["due_at"].startswith(f"{result['today']}T23:45:00")


def test_hours_from_now_are_the_same_in_every_zone(agent: Agent, alice: Person) -> None:
    times = [
        move(agent, add(alice, **in_zone("2027-01-09T10:00:00Z", zone)), due="in 2 hours")["due_at"]
        for zone in ("Europe/Berlin", "Asia/Tokyo")
    ]
    assert times[0][-6:] == "+01:00"
    assert times[1][-6:] == "+09:00"
    assert abs(seconds(times[0]) - seconds(times[1])) <= 600


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        ("1 hour later", "2027-03-27T11:00:00+01:00"),
        ("an hour and a half earlier", "2027-03-27T08:30:00+01:00"),
        ("+1 week", "2027-04-03T10:00:00+02:00"),
        ("-2 days", "2027-03-25T10:00:00+01:00"),
        ("a month later", "2027-04-27T10:00:00+02:00"),
        ("1 day and 2 hours later", "2027-03-28T12:00:00+02:00"),
        ("+30min", "2027-03-27T10:30:00+01:00"),
    ],
)
def test_a_length_of_time_counts_from_the_due(
    agent: Agent, alice: Person, shift: str, expected: str
) -> None:
    task = add(alice, **in_zone("2027-03-27T10:00:00+01:00"), **WEEKLY)

    assert move(agent, task, due=shift)["due_at"] == expected


def test_a_day_is_moved_by_days(agent: Agent, alice: Person) -> None:
    task = add(alice, due_date="2027-01-31")

    assert move(agent, task, due="1 week later")["due_date"] == "2027-02-07"
    assert move(agent, task, due="-1 week")["due_date"] == "2027-01-31"


@pytest.mark.parametrize(
    ("fields", "due", "message"),
    [
        ({"due_date": "2027-01-31"}, "1 hour later", "the task is due on a day"),
        ({}, "1 hour later", "counts from the due date, and the task has none"),
        ({"due_date": "2027-01-31"}, "a week later at 5pm", "must be the whole text"),
        ({"due_date": "2027-01-31"}, "tomorrow +2 hours", "must be the whole text"),
        ({"due_date": "2027-01-31"}, "8000 years later", "is outside of the years"),
    ],
)
def test_a_length_of_time_without_a_start_is_refused(
    agent: Agent, alice: Person, fields: dict[str, Any], due: str, message: str
) -> None:
    task = add(alice, **fields)

    result = agent.fail("reschedule_tasks", tasks=[{"id": task["id"], "due": due}])

    assert message in result.data["errors"][0]["message"]
    assert read(alice.http.get(f"{TASKS}/{task['id']}"))["version"] == 1


@pytest.mark.parametrize("recurrence", ["every monday", "every mon at 7am"])
def test_a_recurrence_gives_a_task_without_a_due_its_first_one(
    agent: Agent, recurrence: str
) -> None:
    (added,) = agent.do("add_tasks", tasks=[{"title": "a", "recurrence": recurrence}])["tasks"]
    (task_id,) = agent.add("b")

    moved = move(agent, {"id": task_id}, recurrence=recurrence)

    due = {name: added[name] for name in ("due_date", "due_at", "repeats") if name in added}
    assert {name: moved.get(name) for name in due} == due
    assert len(due) == 2


def test_each_faulty_item_is_named(agent: Agent) -> None:
    first, second, third = agent.add("a", "b", "c")
    items = [
        {"id": first, "recurrence": "foo"},
        {"id": second, "due": "blub"},
        {"id": UNKNOWN, "due": "today"},
        {"id": third, "due": "tomorrow"},
    ]
    result = agent.fail("reschedule_tasks", tasks=items)
    assert [each["field"] for each in result.data["errors"]] == [
        "tasks.0.recurrence",
        "tasks.1.due",
        "tasks.2",
    ]
    result = agent.fail(
        "update_tasks",
        tasks=[{"id": first, "list": "foo"}, {"id": UNKNOWN, "add_tags": ["x"]}],
    )
    assert [each["field"] for each in result.data["errors"]] == ["tasks.0.list", "tasks.1"]


def test_every_faulty_item_is_named(agent: Agent) -> None:
    (known,) = agent.add("t")
    failed = agent.fail(
        "reschedule_tasks",
        tasks=[
            {"id": known, "recurrence": "foo"},
            {"id": UNKNOWN, "due": "friday"},
            {"id": "not-an-id", "due": "blub"},
        ],
    )
    fields = [each["field"] for each in failed.data["errors"]]
    assert fields == ["tasks.0.recurrence", "tasks.1", "tasks.2.id", "tasks.2.due"]


def test_a_missing_task_is_named_beside_an_invalid_change(agent: Agent) -> None:
    (known,) = agent.add("t")
    failed = agent.fail(
        "update_tasks", tasks=[{"id": UNKNOWN, "title": "a"}, {"id": known, "title": ""}]
    )
    assert [each["field"] for each in failed.data["errors"]] == ["tasks.0", "tasks.1.title"]
