"""Walks through pages: each task is met once, whatever the order, the size and the database."""

import itertools
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.users import TASKS, MakePerson, read
from tests.integration.worlds import World, open_world
from todo.core.caller import Caller
from todo.core.domain import NewTask
from todo.lists.service import ListService
from todo.tasks import query as tasks_query
from todo.tasks.query_shape import Sort
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
SORTS: tuple[Sort, ...] = ("created", "updated", "due", "priority", "title", "position")
SIZES = (1, 2, 3, 7, 100)
PRIORITIES = ("none", "low", "medium", "high")
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
# With all digits of a second, some, and none; the ends of what is accepted.
INSTANTS = st.sampled_from(
    (
        "2027-03-01T12:00:00+00:00",
        "2027-03-01T12:00:00.500000+00:00",
        "2027-03-01T12:00:00.123456+00:00",
        "2027-03-01T13:00:00+01:00",
        "1901-01-01T00:00:00+00:00",
        "9997-12-31T23:59:59.999999+00:00",
    )
)
DAYS = st.sampled_from(("2027-03-01", "2027-03-02", "1900-01-01", "9998-12-31"))
DUES = st.one_of(
    st.just({}),
    st.just({}),
    st.builds(lambda day: {"due_date": day}, DAYS),
    st.builds(lambda at: {"due_at": at}, INSTANTS),
)
ROWS = st.lists(
    st.tuples(
        st.fixed_dictionaries(
            {
                "title": st.sampled_from(("a", "b", "\x01" * 255, "zebra")),
                "priority": st.sampled_from(PRIORITIES),
                "position": st.sampled_from((0.0, -1.0, 1e15, 0.1)),
            }
        ),
        DUES,
        # Whether it is in the list, whether it is done, and when it changed.
        st.booleans(),
        st.booleans(),
        st.sampled_from((0, 500_000, 123_456, 1_000_000)),
    ),
    min_size=1,
    max_size=12,
)
SEARCH = settings(
    max_examples=8,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with open_world(request) as world:
        yield world


def sort_key(sort: Sort, task: dict[str, Any]) -> Any:  # noqa: ANN401 - of any order
    if sort == "due":
        if task["due_date"] is not None:
            return datetime.combine(date.fromisoformat(task["due_date"]), time(), UTC)
        return NEVER if task["due_at"] is None else datetime.fromisoformat(task["due_at"])
    if sort == "priority":
        return PRIORITIES.index(task["priority"])
    if sort == "updated":
        return datetime.fromisoformat(task["updated_at"])
    return "" if sort == "created" else task[sort]


def make(fields: NewTask, *, is_done: bool) -> Callable[[UnitOfWork], Awaitable[dict[str, Any]]]:
    """Return what stores a task."""

    async def write(work: UnitOfWork) -> dict[str, Any]:
        stored = await TaskService(work).create(fields)
        if is_done:
            stored = await TaskService(work).complete(stored.id)
        return dict(orjson.loads(stored.body))

    return write


def fill(world: World, caller: Caller, rows: list[Any]) -> tuple[str, list[dict[str, Any]]]:
    """Store tasks; return the list that some are in, and all of them."""
    stored = world.write(caller, NOW, lambda work: ListService(work).create({"name": "one"}))
    list_id = stored.id
    tasks = []
    for fields, due, is_listed, is_done, microseconds in rows:
        place = {"list_id": list_id} if is_listed else {}
        given: Any = {**fields, **due, **place}
        now = NOW + timedelta(microseconds=microseconds)
        tasks.append(world.write(caller, now, make(given, is_done=is_done)))
    return list_id, tasks


@SEARCH
@given(rows=ROWS)
def test_each_task_is_met_once_in_order(world: World, rows: list[Any]) -> None:
    caller = Caller(f"user-{uuid.uuid4()}")
    list_id, tasks = fill(world, caller, rows)
    for sort, descending, limit in itertools.product(SORTS, (False, True), SIZES):
        for status, where in itertools.product(
            (None, "open", "completed"), (None, "none", list_id)
        ):
            if sort == "position" and where is None:
                continue
            query = tasks_query.Query(
                status=status,  # type: ignore[arg-type]
                list_id=where,
                sort=sort,
                descending=descending,
                limit=limit,
            )
            found = [
                orjson.loads(item)["id"]
                for page in world.read_pages(caller, NOW, query)
                for item in page
            ]
            expected = [
                task
                for task in tasks
                if status in {None, "completed" if task["is_completed"] else "open"}
                and where in {None, task["list_id"] or "none"}
            ]
            expected.sort(key=lambda task: (sort_key(sort, task), task["id"]), reverse=descending)
            assert found == [task["id"] for task in expected], query


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_by_number_meet_tasks_without_a_due_once(make_person: MakePerson, order: str) -> None:
    alice = make_person("alice")
    made = [alice.create(TASKS, title=f"t{number}")["id"] for number in range(11)]
    path = f"/api/{alice.name}/tasks"

    found: list[str] = []
    for page in (1, 2, 3, 4):
        params = {"page": str(page), "limit": "4", "order": order}
        response = alice.http.get(path, params=params)
        assert response.status_code == 200
        found += [task["id"] for task in response.json()]

    assert found == sorted(made, reverse=order == "desc")


def test_tags_of_any_characters_are_met_once(make_person: MakePerson) -> None:
    alice = make_person("alice")
    tags = ["\x01" * 50, "\x01" * 49 + "\x02", "é" * 50, "🦊" * 50, "a", "A b", "日本"]
    for tag in tags:
        alice.create(TASKS, title="tagged", tags=[tag])

    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(alice.http.get("/api/v1/tags", params={"limit": "1", **cursor}))
        found += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert sorted(found) == sorted(tags)
