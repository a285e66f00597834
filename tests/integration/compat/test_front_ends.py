"""Requests and responses of existing front ends, project by project."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.users import TASKS, Person, code, read

FIELDS = {
    "id",
    "user_id",
    "title",
    "description",
    "priority",
    "tags",
    "due_date",
    "is_completed",
    "completed",
    "is_recurring",
    "recurrence_pattern",
    "created_at",
    "updated_at",
}


def home(person: Person) -> str:
    return f"/api/{person.name}/tasks"


def create(person: Person, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return person.create(home(person), **{"title": "t", **fields})


def put(person: Person, task: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return read(person.http.put(f"{home(person)}/{task['id']}", json=fields))


def titles(person: Person, **params: Any) -> list[str]:  # noqa: ANN401 - a query
    response = person.http.get(home(person), params=params)
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.json()]


def test_a_dashboard_creates_lists_toggles_and_deletes_bare_tasks(alice: Person) -> None:
    # As a form sends it: empty fields, a label of its own, no zone in the time.
    created = alice.create(
        home(alice),
        title="Buy milk",
        description="",
        priority="high",
        tags=["home"],
        label=None,
        due_date="2031-05-06T07:08",
        is_recurring=False,
        is_completed=False,
    )

    assert set(created) == FIELDS
    assert created["user_id"] == alice.name
    assert uuid.UUID(created["id"])
    assert (created["title"], created["description"], created["priority"], created["tags"]) == (
        "Buy milk",
        None,
        "high",
        ["home"],
    )
    assert created["due_date"] == "2031-05-06T07:08:00"
    assert (created["is_recurring"], created["recurrence_pattern"]) == (False, None)
    assert alice.http.get(home(alice)).json() == [created]
    path = f"{home(alice)}/{created['id']}"
    assert read(alice.http.get(path)) == created

    # A header for JSON, and no body.
    json_type = {"Content-Type": "application/json"}
    done = read(alice.http.patch(f"{path}/complete", headers=json_type))
    assert (done["is_completed"], done["completed"]) == (True, True)
    assert read(alice.http.patch(f"{path}/complete"))["is_completed"] is False

    # The answer is read as JSON.
    assert read(alice.http.delete(path)) == {"message": "Task deleted successfully"}
    assert code(alice.http.get(path)) == (404, "not-found")
    assert alice.http.get(home(alice)).json() == []


def test_the_least_that_is_sent_makes_a_task_of_medium_priority(alice: Person) -> None:
    created = create(alice, title="t", description="d")

    assert (created["priority"], created["tags"], created["due_date"]) == ("medium", [], None)


def test_an_edit_form_sends_a_whole_task_and_changes_what_was_edited(alice: Person) -> None:
    task = create(alice, description="d", tags=["a"], due_date="2031-01-31T09:00:00.000Z")

    same = put(alice, task, **task)
    edited = put(alice, task, **{**task, "title": "u", "tags": ["a", "", " b "], "label": "work"})

    assert same == task
    assert edited["updated_at"] > task["updated_at"]
    assert edited == {**task, "title": "u", "tags": ["a", "b"], "updated_at": edited["updated_at"]}


def test_a_partial_update_leaves_the_rest(alice: Person) -> None:
    task = create(alice, description="d", priority="low", tags=["a"], due_date="2031-01-31")

    changed = put(alice, task, title="u")
    assert changed == {**task, "title": "u", "updated_at": changed["updated_at"]}
    assert put(alice, task, is_completed=True)["is_completed"] is True
    assert put(alice, task, completed=False)["is_completed"] is False
    cleared = put(alice, task, description="", due_date="", tags=None)
    assert (cleared["description"], cleared["due_date"], cleared["tags"]) == (None, None, [])


@pytest.mark.parametrize(
    ("sent", "shown", "stored"),
    [
        (None, None, (None, None)),
        ("", None, (None, None)),
        ("2031-05-06", "2031-05-06T00:00:00", ("2031-05-06", None)),
        ("2031-05-06T07:08", "2031-05-06T07:08:00", (None, "2031-05-06T07:08:00")),
        ("2031-05-06T07:08:09", "2031-05-06T07:08:09", (None, "2031-05-06T07:08:09")),
        ("2031-05-06T07:08:09.500Z", "2031-05-06T07:08:09.5", (None, "2031-05-06T07:08:09.5")),
        ("2031-05-06T07:08:09+02:00", "2031-05-06T05:08:09", (None, "2031-05-06T05:08:09")),
    ],
)
def test_a_due_date_comes_back_as_it_was_meant(
    alice: Person, sent: str | None, shown: str | None, stored: tuple[str | None, str | None]
) -> None:
    task = create(alice, due_date=sent)

    day, at = stored
    kept = read(alice.http.get(f"{TASKS}/{task['id']}"))
    assert kept["due_date"] == day
    assert (kept["due_at"] or "").startswith(at or "")
    if shown is None:
        assert task["due_date"] is None
    else:
        assert task["due_date"].startswith(shown)
        # Only an instant has a zone.
        assert task["due_date"].endswith("+00:00") == (sent is not None and sent[19:] != "")
    again = put(alice, task, due_date=task["due_date"])
    assert again == task
    assert read(alice.http.get(f"{TASKS}/{task['id']}")) == kept


@pytest.mark.parametrize("due", ["tomorrow", "2031-13-01", "2031-05-06T25:00", "0001-01-01", 5])
def test_a_bad_due_date_is_refused_with_a_text_to_show(alice: Person, due: object) -> None:
    answer = alice.http.post(home(alice), json={"title": "t", "due_date": due})

    problem = read(answer, 422)
    assert isinstance(problem["detail"], str)
    assert [error["field"] for error in problem["errors"]] == ["due_date"]


@pytest.mark.parametrize("pattern", ["daily", "weekly", "monthly", "Weekly"])
def test_a_recurring_task_comes_again_when_it_is_completed(alice: Person, pattern: str) -> None:
    task = create(alice, due_date="2031-01-31T09:00", is_recurring=True, recurrence_pattern=pattern)
    assert (task["is_recurring"], task["recurrence_pattern"]) == (True, pattern.lower())

    read(alice.http.patch(f"{home(alice)}/{task['id']}/complete"))

    (following,) = alice.http.get(home(alice), params={"status": "pending"}).json()
    due = {"daily": "02-01", "weekly": "02-07", "monthly": "03-31"}[pattern.lower()]
    assert following["due_date"] == f"2031-{due}T09:00:00"
    assert following["recurrence_pattern"] == pattern.lower()


def test_recurrence_ends_and_begins_by_its_box(alice: Person) -> None:
    task = create(alice, is_recurring=True, recurrence_pattern="")
    assert task["is_recurring"] is False

    weekly = put(alice, task, is_recurring=True, recurrence_pattern="weekly")
    assert weekly["recurrence_pattern"] == "weekly"
    assert put(alice, task, title="u")["is_recurring"] is True
    once = put(alice, task, is_recurring=False, recurrence_pattern="weekly")
    assert (once["is_recurring"], once["recurrence_pattern"]) == (False, None)


def test_what_these_front_ends_do_not_know_outlives_their_edits(alice: Person) -> None:
    task = alice.create(
        TASKS,
        title="t",
        due_date="2031-01-06",
        recurrence="FREQ=WEEKLY;BYDAY=MO,WE",
        reminders=[30],
        position=7,
    )
    shown = read(alice.http.get(f"{home(alice)}/{task['id']}"))
    assert (shown["priority"], shown["recurrence_pattern"]) == ("medium", "weekly")

    put(alice, task, **{**shown, "title": "u"})

    after = read(alice.http.get(f"{TASKS}/{task['id']}"))
    assert after == {
        **task,
        "title": "u",
        "version": 2,
        "updated_at": after["updated_at"],
    }


def test_a_toggle_may_say_what_is_wanted(alice: Person) -> None:
    path = f"{home(alice)}/{create(alice)['id']}/complete"

    for wanted in (True, True, False):
        assert read(alice.http.patch(path, json={"is_completed": wanted}))["completed"] is wanted
    assert read(alice.http.patch(path, json={}))["completed"] is True


def test_a_task_may_be_created_done(alice: Person) -> None:
    assert create(alice, is_completed=True)["completed"] is True
    assert create(alice, completed=True)["is_completed"] is True


def test_the_list_is_filtered_by_every_spelling(alice: Person) -> None:
    create(alice, title="open", priority="high", description="red apple")
    done = create(alice, title="done", priority="low", description="green pear")
    alice.http.patch(f"{home(alice)}/{done['id']}/complete")

    for status in ("pending", "incomplete", "open", "active", "todo"):
        assert titles(alice, status=status) == ["open"]
    for status in ("completed", "complete", "done", "Completed"):
        assert titles(alice, status=status) == ["done"]
    for status in ("all", ""):
        assert sorted(titles(alice, status=status)) == ["done", "open"]
    assert titles(alice, completed="true") == ["done"]
    assert titles(alice, priority="high") == ["open"]
    assert len(titles(alice, priority="all", due_status="", sort="", order="", search="")) == 2
    assert titles(alice, search="PEAR") == ["done"]
    assert titles(alice, search="app") == ["open"]
    assert titles(alice, search="!") == []


def test_the_list_is_filtered_by_when_tasks_are_due(alice: Person) -> None:
    now = datetime.now(UTC)
    for name, days in (("late", -2), ("today", 0), ("tomorrow", 1), ("soon", 5), ("later", 20)):
        create(alice, title=name, due_date=(now + timedelta(days=days)).date().isoformat())
    create(alice, title="never")

    assert titles(alice, due_status="overdue") == ["late"]
    assert titles(alice, due_status="today") == ["today"]
    assert titles(alice, due_status="tomorrow") == ["tomorrow"]
    assert titles(alice, due_status="week") == ["today", "tomorrow", "soon"]
    assert titles(alice, due_status="this-month") == ["today", "tomorrow", "soon", "later"]


def test_the_list_is_sorted(alice: Person) -> None:
    create(alice, title="b", priority="low", due_date="2031-01-02")
    create(alice, title="c", priority="high", due_date="2031-01-01")
    create(alice, title="a", priority="medium")

    assert titles(alice) == ["c", "b", "a"]
    assert titles(alice, sort="title") == ["a", "b", "c"]
    assert titles(alice, sort="title", order="desc") == ["c", "b", "a"]
    assert titles(alice, sort="priority", order="desc") == ["c", "a", "b"]
    assert titles(alice, sort="created_at") == ["b", "c", "a"]
    assert titles(alice, sort="createdAt", order="desc") == ["a", "c", "b"]


def test_pages_have_numbers(alice: Person) -> None:
    for number in range(25):
        create(alice, title=f"{number:02}")
    everything = [f"{number:02}" for number in range(25)]

    assert titles(alice, sort="title") == everything
    assert titles(alice, sort="title", page=1) == everything[:20]
    assert titles(alice, sort="title", page=2) == everything[20:]
    assert titles(alice, sort="title", page=3, limit=7) == everything[14:21]
    assert titles(alice, sort="title", page=4, limit=7, status="pending") == everything[21:]
    assert titles(alice, sort="title", page=5, limit=7) == []
    assert titles(alice, sort="title", page=2, limit=10, priority="medium") == everything[10:20]


BAD_QUERIES = (
    *("page=0", "page=x", "page=502", "page=102&limit=100", "limit=0", "limit=101", "status=x"),
    *("priority=x", "due_status=x", "sort=x", "order=x", f"search={'x' * 201}"),
)


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_bad_query_is_refused_with_a_text_to_show(alice: Person, query: str) -> None:
    problem = read(alice.http.get(f"{home(alice)}?{query}"), 422)

    assert isinstance(problem["detail"], str)
    assert [error["field"] for error in problem["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("priority", ["urgent", 5])
def test_a_bad_field_is_refused(alice: Person, priority: object) -> None:
    answer = alice.http.post(home(alice), json={"title": "t", "priority": priority})

    assert read(answer, 422)["errors"][0]["field"] == "priority"
    assert titles(alice) == []


def test_writes_repeat_and_conflict_as_in_the_api(alice: Person) -> None:
    headers = {"Idempotency-Key": "k"}
    first, second = (
        alice.http.post(home(alice), json={"title": "t"}, headers=headers) for _ in range(2)
    )
    assert (first.status_code, first.content) == (201, second.content)
    path = f"{home(alice)}/{first.json()['id']}"

    toggles = [
        alice.http.patch(f"{path}/complete", headers={"Idempotency-Key": "once"}) for _ in range(2)
    ]
    assert [read(answer)["completed"] for answer in toggles] == [True, True]
    stale = {"If-Match": first.headers["etag"]}
    assert code(alice.http.put(path, json={"title": "u"}, headers=stale))[0] == 412
    current = alice.http.get(path)
    known = {"If-None-Match": current.headers["etag"]}
    assert alice.http.get(path, headers=known).status_code == 304
    fresh = {"If-Match": current.headers["etag"]}
    assert alice.http.put(path, json={"title": "u"}, headers=fresh).status_code == 200


def test_health_is_what_they_ask_for(alice: Person) -> None:
    assert read(alice.http.get("/health")) == {"status": "ok"}
