"""A series of tasks, through the API, on both databases."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.integration.users import TASKS, Person, code, read


def create(person: Person, **task: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return person.create(TASKS, title="again", **task)


def complete(person: Person, task: dict[str, Any]) -> dict[str, Any] | None:
    """Complete a task and return the one that follows it."""
    read(person.http.post(f"{TASKS}/{task['id']}/complete"))
    found: list[dict[str, Any]] = read(person.http.get(TASKS, params={"status": "open"}))["items"]
    return next((each for each in found if each["previous_id"] == task["id"]), None)


def test_the_31st_outlives_short_months(alice: Person) -> None:
    task: dict[str, Any] | None = create(alice, due_date="2126-01-31", recurrence="FREQ=MONTHLY")

    days = []
    for _ in range(4):
        assert task is not None
        days.append(task["due_date"])
        task = complete(alice, task)

    assert days == ["2126-01-31", "2126-03-31", "2126-05-31", "2126-07-31"]


def test_a_gap_of_the_clocks_moves_one_instance_alone(alice: Person) -> None:
    task = create(
        alice, due_at="2026-03-28T01:30:00Z", due_zone="Europe/Berlin", recurrence="FREQ=DAILY"
    )

    moved = complete(alice, task)
    assert moved is not None
    back = complete(alice, moved)

    assert datetime.fromisoformat(moved["due_at"]) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert moved["recurrence"] == "FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0"
    assert back is not None
    assert datetime.fromisoformat(back["due_at"]) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
    assert back["recurrence"] == "FREQ=DAILY"
    assert back["due_zone"] == "Europe/Berlin"


def test_count_ends_a_series(alice: Person) -> None:
    task = create(alice, due_date="2126-01-01", recurrence="RRULE:FREQ=DAILY;COUNT=2")

    last = complete(alice, task)

    assert last is not None
    assert last["recurrence"] == "FREQ=DAILY;COUNT=1"
    assert complete(alice, last) is None


def test_completing_twice_makes_one_next(alice: Person) -> None:
    task = create(alice, due_date="2126-01-01", recurrence="FREQ=DAILY")

    complete(alice, task)
    complete(alice, task)

    assert len(read(alice.http.get(TASKS, params={"status": "open"}))["items"]) == 1


def test_completing_again_what_was_reopened_makes_no_other_next(alice: Person) -> None:
    task = create(alice, due_date="2126-01-01", recurrence="FREQ=DAILY")

    following = complete(alice, task)
    read(alice.http.post(f"{TASKS}/{task['id']}/reopen"))
    again = complete(alice, task)

    assert following is not None
    assert again == following
    assert len(read(alice.http.get(TASKS))["items"]) == 2


def test_a_next_that_was_deleted_is_made_again(alice: Person) -> None:
    task = create(alice, due_date="2126-01-01", recurrence="FREQ=DAILY")

    following = complete(alice, task)
    assert following is not None
    alice.http.delete(f"{TASKS}/{following['id']}")
    read(alice.http.post(f"{TASKS}/{task['id']}/reopen"))

    assert complete(alice, task) is not None


@pytest.mark.parametrize(
    "rule", ["FREQ=HOURLY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYEASTER=1", "x"]
)
def test_a_rule_that_cannot_be_is_refused_with_the_field(alice: Person, rule: str) -> None:
    refused = alice.http.post(TASKS, json={"title": "x", "recurrence": rule})

    assert code(refused) == (422, "validation-failed")
    assert [each["field"] for each in refused.json()["errors"]] == ["recurrence"]


def test_a_zone_that_is_none_is_refused(alice: Person) -> None:
    due = {"due_at": "2126-01-01T00:00:00Z", "due_zone": "europe/berlin"}
    refused = alice.http.post(TASKS, json={"title": "x", **due})

    assert code(refused) == (422, "validation-failed")
    [error] = refused.json()["errors"]
    assert error["field"] == "due_zone"
    assert "did you mean Europe/Berlin?" in error["message"]


def measure_longest_wait(busy: Person, other: Person, operations: list[Any]) -> float:
    """Return the longest wait for an answer while a batch is refused, as a part of its duration."""
    waits = []
    start = time.monotonic()
    with ThreadPoolExecutor(1) as thread:
        batch = thread.submit(busy.http.post, f"{TASKS}/batch", json={"operations": operations})
        while not batch.done():
            asked = time.monotonic()
            read(other.http.get(TASKS))
            waits.append(time.monotonic() - asked)
        assert batch.result().status_code == 422
    return max(waits) / (time.monotonic() - start)


def test_others_are_answered_while_years_are_looked_through(alice: Person, bob: Person) -> None:
    def measure(first_day: int) -> float:
        # Each rule is a new one, since results are remembered: a batch spends its whole budget.
        rules = [f"FREQ=YEARLY;BYWEEKNO=53;BYYEARDAY={first_day},{day}" for day in range(200, 300)]
        tasks = [{"title": "x", "recurrence": rule} for rule in rules]
        operations = [{"op": "create", "task": task} for task in tasks]
        return measure_longest_wait(alice, bob, operations)

    # If nobody else had a turn, each time somebody would wait for almost the whole batch. A busy
    # machine lets somebody wait now and then.
    assert min(measure(first_day) for first_day in range(100, 110)) < 0.4


def switch(person: Person, task: dict[str, Any], basis: str, **more: object) -> dict[str, Any]:
    path = f"{TASKS}/{task['id']}"
    return read(person.http.patch(path, json={"recurrence_from": basis, **more}))


SWITCHED = [
    ({"recurrence": "FREQ=WEEKLY", "due_date": "2126-11-27"}, "FREQ=WEEKLY"),
    ({"recurrence": "FREQ=WEEKLY;INTERVAL=3", "due_date": "2126-11-27"}, "FREQ=WEEKLY;INTERVAL=3"),
    (
        # Midnight in Tokyo is the day before in UTC.
        {
            "recurrence": "FREQ=WEEKLY",
            "due_at": "2126-11-27T00:30:00+09:00",
            "due_zone": "Asia/Tokyo",
        },
        "FREQ=WEEKLY",
    ),
    ({"recurrence": "FREQ=MONTHLY", "due_date": "2126-01-31"}, "FREQ=MONTHLY"),
    ({"recurrence": "FREQ=YEARLY", "due_date": "2126-02-28"}, "FREQ=YEARLY"),
    (
        {"recurrence": "FREQ=WEEKLY;BYDAY=MO,FR", "due_date": "2126-11-29"},
        "FREQ=WEEKLY;BYDAY=MO,FR",
    ),
    (
        {"recurrence": "FREQ=MONTHLY;BYMONTHDAY=15", "due_date": "2126-11-29"},
        "FREQ=MONTHLY;BYMONTHDAY=15",
    ),
]


@pytest.mark.parametrize(("fields", "rule"), SWITCHED)
def test_counted_from_completion_a_rule_loses_what_its_start_had_added(
    alice: Person, fields: dict[str, Any], rule: str
) -> None:
    task = create(alice, **fields)

    switched = switch(alice, task, "completion")
    assert switched["recurrence"] == rule
    back = switch(alice, task, "schedule")
    assert back["recurrence"] == task["recurrence"]


def test_a_week_after_completion_is_what_a_switched_weekly_task_means(alice: Person) -> None:
    task = create(alice, due_date="2026-01-07", recurrence="FREQ=WEEKLY")
    switch(alice, task, "completion")

    following = complete(alice, task)

    assert following is not None
    today = datetime.now(UTC).date()
    assert date.fromisoformat(following["due_date"]) - today == timedelta(days=7)
    assert following["recurrence"] == "FREQ=WEEKLY"


def test_the_next_of_a_series_can_be_switched_as_the_first(alice: Person) -> None:
    following = complete(alice, create(alice, due_date="2126-01-02", recurrence="FREQ=WEEKLY"))

    assert following is not None
    assert following["recurrence"] == "FREQ=WEEKLY;BYDAY=WE"
    assert switch(alice, following, "completion")["recurrence"] == "FREQ=WEEKLY"


def move(person: Person, task: dict[str, Any], **due: object) -> None:
    read(person.http.patch(f"{TASKS}/{task['id']}", json=due))


def test_a_due_that_was_moved_does_not_hide_what_the_service_added(alice: Person) -> None:
    task = create(alice, due_date="2126-01-02", recurrence="FREQ=WEEKLY")
    move(alice, task, due_date="2126-01-05")
    move(alice, task, title="moved", due_date="2126-01-06")

    assert switch(alice, task, "completion")["recurrence"] == "FREQ=WEEKLY"


def test_a_due_that_was_moved_onto_a_day_of_the_callers_does_not_hide_that(alice: Person) -> None:
    task = create(alice, due_date="2126-01-01", recurrence="FREQ=WEEKLY;BYDAY=WE")
    move(alice, task, due_date="2126-01-02")

    assert switch(alice, task, "completion")["recurrence"] == "FREQ=WEEKLY;BYDAY=WE"


def test_only_the_due_with_which_the_present_rule_was_set_is_its_start(alice: Person) -> None:
    task = create(alice, due_date="2126-01-02", recurrence="FREQ=MONTHLY")
    move(alice, task, recurrence="FREQ=WEEKLY;BYDAY=FR")
    move(alice, task, due_date="2126-01-04")

    assert switch(alice, task, "completion")["recurrence"] == "FREQ=WEEKLY;BYDAY=FR"


def test_the_due_that_goes_with_a_switch_is_not_the_start_of_the_rule(alice: Person) -> None:
    task = create(alice, due_date="2126-01-02", recurrence="FREQ=WEEKLY")

    assert switch(alice, task, "completion", due_date="2126-01-05")["recurrence"] == "FREQ=WEEKLY"


def test_a_rule_that_is_sent_with_the_switch_stays_as_it_is(alice: Person) -> None:
    task = create(alice, due_date="2126-01-02", recurrence="FREQ=WEEKLY")
    rule = "FREQ=WEEKLY;BYDAY=WE"

    assert switch(alice, task, "completion", recurrence=rule)["recurrence"] == rule


def test_each_rule_of_a_batch_that_never_occurs_is_named(alice: Person) -> None:
    rules = [
        f"FREQ=YEARLY;BYWEEKNO=1;BYYEARDAY={','.join(map(str, range(60, 160)))},{number}"
        for number in range(161, 261)
    ]
    operations = [{"op": "create", "task": {"title": "t", "recurrence": rule}} for rule in rules]

    answer = alice.http.post(f"{TASKS}/batch", json={"operations": operations})

    assert answer.status_code == 422
    messages = {error["message"] for error in answer.json()["errors"]}
    assert {error["field"] for error in answer.json()["errors"]} == {
        f"operations.{number}.task.recurrence" for number in range(100)
    }
    assert messages == {"never occurs, because no day matches all parts; remove one"}
    assert read(alice.http.get(TASKS))["items"] == []
