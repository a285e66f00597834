"""Plans that are outdated, on both databases: nothing changes, and what moved is named."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from tests.integration.plans.plan_calls import PLANS, Json, apply, find_moved, make_plan
from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.users import LISTS, TASKS, Person, code, read
from tests.integration.worlds import World, open_world
from tests.integration.writes.test_crossed_writes import read_deadlocks
from todo.core.caller import Caller
from todo.db.statement import Statement
from todo.plans.errors import PlanOutdatedError, PlanTooLargeError
from todo.plans.operation import PlanOperation
from todo.plans.repository import Plan
from todo.plans.service import PlanService
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

NOW = datetime(2027, 1, 5, 12, tzinfo=UTC)
CALLER = Caller("alice")
COUNTS = Statement(text("SELECT seq, (SELECT count(*) FROM task) FROM journal"))


def refuse(person: Person, plan: Json, kept: Json) -> list[tuple[str, str]]:
    """Apply an outdated plan; return what moved. A task must still be as it was."""
    moved = find_moved(apply(person, plan))
    assert read(person.http.get(f"{TASKS}/{kept['id']}")) == kept
    assert read(person.http.get(f"{PLANS}/{plan['id']}"))["status"] == "open"
    return moved


def test_a_task_that_changed_since_is_named_and_nothing_happens(alice: Person) -> None:
    kept, moved, gone = (alice.create(TASKS, title=title) for title in ("kept", "moved", "gone"))
    ids = [task["id"] for task in (kept, moved)]
    plan = make_plan(alice, *({"op": "delete", "id": task_id} for task_id in ids))
    three = make_plan(alice, *({"op": "delete", "id": task_id} for task_id in [*ids, gone["id"]]))
    read(alice.http.patch(f"{TASKS}/{moved['id']}", json={"priority": "high"}))

    assert refuse(alice, plan, kept) == [(f"task/{moved['id']}", "changed-since")]

    assert alice.http.delete(f"{TASKS}/{gone['id']}").status_code == 204
    assert refuse(alice, three, kept) == [("operations.2", "not-found")]


def test_a_change_and_its_opposite_outdate_a_plan_as_well(alice: Person) -> None:
    task = alice.create(TASKS, title="a")
    plan = make_plan(alice, {"op": "complete", "id": task["id"]})
    for operation in ("complete", "reopen"):
        now = read(alice.http.post(f"{TASKS}/{task['id']}/{operation}"))

    assert refuse(alice, plan, now) == [(f"task/{task['id']}", "changed-since")]


def test_a_task_that_somebody_else_completed_outdates_a_plan(alice: Person, bob: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    alice.share(list_id, bob, "write")
    task = alice.create(TASKS, title="a", list_id=list_id)
    plan = make_plan(alice, {"op": "complete", "id": task["id"]})
    now = read(bob.http.post(f"{TASKS}/{task['id']}/complete"))

    assert refuse(alice, plan, now) == [(f"task/{task['id']}", "not-changed")]


def test_a_new_subtask_outdates_the_deletion_of_its_parent(alice: Person) -> None:
    task = alice.create(TASKS, title="a")
    plan = make_plan(alice, {"op": "delete", "id": task["id"]})
    child = alice.create(TASKS, title="b", parent_id=task["id"])

    assert refuse(alice, plan, child) == [(f"task/{child['id']}", "also-changed")]


def test_a_list_that_was_filled_or_emptied_outdates_its_deletion(alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    empty = make_plan(alice, {"op": "delete_list", "id": list_id})
    task = alice.create(TASKS, title="a", list_id=list_id)
    filled = make_plan(alice, {"op": "delete_list", "id": list_id})

    assert refuse(alice, empty, task) == [(f"task/{task['id']}", "also-changed")]
    task = read(alice.http.patch(f"{TASKS}/{task['id']}", json={"list_id": None}))
    assert refuse(alice, filled, task) == [(f"task/{task['id']}", "not-changed")]
    read(apply(alice, empty))


def test_a_list_that_was_shared_or_renamed_outdates_its_deletion(alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    task = alice.create(TASKS, title="a", list_id=list_id)
    delete = {"op": "delete_list", "id": list_id}
    plan = make_plan(alice, delete)
    read(alice.http.put(f"{LISTS}/{list_id}/shares/carol", json={"access": "read"}))
    assert refuse(alice, plan, task) == [("share/carol", "also-changed")]

    plan = make_plan(alice, delete)
    read(alice.http.put(f"{LISTS}/{list_id}/shares/carol", json={"access": "write"}))
    assert refuse(alice, plan, task) == [("share/carol", "other-result")]

    plan = make_plan(alice, delete)
    read(alice.http.patch(f"{LISTS}/{list_id}", json={"name": "Garden"}))
    assert refuse(alice, plan, task) == [(f"list/{list_id}", "changed-since")]


@pytest.mark.parametrize("operation", ["share_list", "unshare_list"])
def test_a_list_that_was_renamed_outdates_its_shares(
    alice: Person, bob: Person, operation: str
) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    alice.share(list_id, bob, "write")
    kept = alice.create(TASKS, title="kept")
    access = {"access": "read"} if operation == "share_list" else {}
    plan = make_plan(alice, {"op": operation, "id": list_id, "user": bob.name, **access})

    read(alice.http.patch(f"{LISTS}/{list_id}", json={"name": "Garden"}))
    assert refuse(alice, plan, kept) == [(f"list/{list_id}", "changed-since")]
    assert read(bob.http.get(f"{LISTS}/{list_id}"))["access"] == "write"

    # The share is bound to the name, not to the list's position or content.
    read(alice.http.patch(f"{LISTS}/{list_id}", json={"name": "Home", "position": 1}))
    alice.create(TASKS, title="new", list_id=list_id)
    read(apply(alice, plan))


def test_access_that_was_taken_away_outdates_a_plan(alice: Person, bob: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    alice.share(list_id, bob, "write")
    task = alice.create(TASKS, title="a", list_id=list_id)
    mine = bob.create(TASKS, title="mine")
    operations = (
        {"op": "delete", "id": mine["id"]},
        {"op": "complete", "id": task["id"]},
        {"op": "create", "task": {"title": "b", "list_id": list_id}},
    )
    plan = make_plan(bob, *operations)
    alice.share(list_id, bob, "read")
    refused = [("operations.1", "read-only"), ("operations.2", "read-only")]
    assert refuse(bob, plan, mine) == refused

    path = f"{LISTS}/{list_id}/shares/{bob.name}"
    assert alice.http.delete(path).status_code == 204
    gone = [("operations.1", "not-found"), ("operations.2.task.list_id", "invalid")]
    assert refuse(bob, plan, mine) == gone
    assert read(alice.http.get(f"{TASKS}/{task['id']}")) == task


def test_a_parent_that_moved_outdates_a_new_subtask(alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    parent = alice.create(TASKS, title="a")
    plan = make_plan(alice, {"op": "create", "task": {"title": "b", "parent_id": parent["id"]}})
    parent = read(alice.http.patch(f"{TASKS}/{parent['id']}", json={"list_id": list_id}))

    assert refuse(alice, plan, parent) == [("task/new", "other-result")]


def test_another_zone_outdates_what_depends_on_it(alice: Person) -> None:
    task = alice.create(TASKS, title="a")
    change = {"due_at": "2027-03-05T16:00:00+00:00"}
    plan = make_plan(alice, {"op": "update", "id": task["id"], "task": change})
    read(alice.http.patch("/api/v1/me", json={"zone": "Europe/Berlin"}))

    assert refuse(alice, plan, task) == [(f"task/{task['id']}", "other-result")]


def test_an_operation_that_changed_nothing_must_still_change_nothing(alice: Person) -> None:
    task = alice.create(TASKS, title="a")
    plan = make_plan(alice, {"op": "reopen", "id": task["id"]})
    assert plan["changes"] == plan["summary"] == []
    done = read(alice.http.post(f"{TASKS}/{task['id']}/complete"))

    assert refuse(alice, plan, done) == [(f"task/{task['id']}", "also-changed")]
    other = make_plan(alice, {"op": "complete", "id": task["id"]})
    read(apply(alice, other))


def test_what_is_changed_besides_does_not_outdate_a_plan(alice: Person) -> None:
    task = alice.create(TASKS, title="a")
    plan = make_plan(alice, {"op": "delete", "id": task["id"]})
    alice.create(TASKS, title="b")
    read(apply(alice, plan))


def test_an_outdated_plan_claims_no_idempotency_key(alice: Person) -> None:
    task = alice.create(TASKS, title="a")
    plan = make_plan(alice, {"op": "delete", "id": task["id"]})
    read(alice.http.patch(f"{TASKS}/{task['id']}", json={"title": "b"}))
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        assert code(apply(alice, plan, **key)) == (412, "plan-outdated")
    read(alice.http.post(TASKS, json={"title": "c"}, headers=key), 201)


def test_of_many_who_apply_a_plan_at_once_one_does(alice: Person) -> None:
    plan = make_plan(alice, {"op": "create", "task": {"title": "new"}})
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: apply(alice, plan), range(8)))

    assert sorted(each.status_code for each in answers) == [200, *[409] * 7]
    assert {code(each) for each in answers if each.status_code != 200} == {(409, "plan-applied")}
    assert [task["title"] for task in read(alice.http.get(TASKS))["items"]] == ["new"]


def test_of_two_plans_for_one_task_the_second_is_outdated(alice: Person) -> None:
    task = alice.create(TASKS, title="a")
    change = {"op": "update", "id": task["id"], "task": {"title": "b"}}
    plans = [make_plan(alice, change) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda plan: apply(alice, plan), plans))

    assert sorted(each.status_code for each in answers) == [200, 412]
    assert read(alice.http.get(f"{TASKS}/{task['id']}"))["version"] == 2


def test_plans_in_each_others_lists_do_not_wait_for_each_other(
    service: Service, alice: Person, bob: Person
) -> None:
    before = read_deadlocks(service)
    tasks = {}
    for owner, other in ((alice, bob), (bob, alice)):
        list_id = owner.create(LISTS, name="Home")["id"]
        owner.share(list_id, other, "write")
        shared = owner.create(TASKS, title="a", list_id=list_id)["id"]
        tasks[other] = [owner.create(TASKS, title="own")["id"], shared]
    tasks = {alice: [tasks[bob][0], tasks[alice][1]], bob: [tasks[alice][0], tasks[bob][1]]}

    def plan(person: Person) -> list[Json]:
        own, shared = ({"op": "complete", "id": task_id} for task_id in tasks[person])
        new = {"op": "create", "task": {"title": "new"}}
        return [make_plan(person, *each) for each in [(own, shared), (shared, new)] * 10]

    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(plan, (alice, bob)))
    assert [len(plans) for plans in made] == [20, 20]
    for person, (first, *_) in zip((alice, bob), made, strict=True):
        read(apply(person, first))
    assert read_deadlocks(service) == before


def test_a_plan_that_was_tampered_with_does_nothing_else(service: Service, alice: Person) -> None:
    task, other = (alice.create(TASKS, title=title) for title in "ab")
    plan = make_plan(alice, {"op": "delete", "id": task["id"]})
    forged = orjson.dumps([{"op": "delete", "id": other["id"]}]).decode()
    run_sql(service, "UPDATE plan SET operations = ? WHERE id = ?", forged, plan["id"])

    moved = [(f"task/{task['id']}", "not-changed"), (f"task/{other['id']}", "also-changed")]
    assert refuse(alice, plan, task) == sorted(moved)


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with open_world(request) as world:
        yield world


def plan_in(world: World, *operations: PlanOperation) -> str:
    async def make(work: UnitOfWork) -> Plan:
        return await PlanService(work).create(list(operations), expires_in_minutes=10080)

    return world.write(CALLER, NOW, make).id


def create_in(world: World, **fields: Any) -> str:  # noqa: ANN401 - JSON
    new: Any = fields
    return world.write(CALLER, NOW, lambda work: TaskService(work).create(new)).id


@pytest.mark.parametrize("basis", ["schedule", "completion"])
def test_the_next_occurrence_may_depend_on_the_day(world: World, basis: str) -> None:
    task_id = create_in(
        world,
        title="a",
        due_date="2027-01-01",
        recurrence="FREQ=DAILY;INTERVAL=2",
        recurrence_from=basis,
    )
    plan_id = plan_in(world, {"op": "complete", "id": task_id})

    later = NOW + timedelta(days=3)
    done = world.write(CALLER, later, lambda work: PlanService(work).apply(plan_id))

    (result,) = orjson.loads(done)["results"]
    assert result["task"]["is_completed"]


def test_a_series_that_has_ended_since_outdates_a_plan(world: World) -> None:
    task_id = create_in(
        world,
        title="a",
        due_date="2027-01-01",
        recurrence="FREQ=DAILY;UNTIL=20270107",
        recurrence_from="completion",
    )
    plan_id = plan_in(world, {"op": "complete", "id": task_id})

    with pytest.raises(PlanOutdatedError) as refused:
        world.write(CALLER, NOW + timedelta(days=6), lambda work: PlanService(work).apply(plan_id))

    assert [each["code"] for each in refused.value.errors or ()] == ["not-changed"]


def test_a_plan_and_its_application_stop_at_a_number_of_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = [create_in(world, title=title) for title in ("a", "b")]
    for parent_id in parents:
        create_in(world, title="child", parent_id=parent_id)
    delete: list[PlanOperation] = [{"op": "delete", "id": each} for each in parents]
    plan_id = plan_in(world, *delete)
    monkeypatch.setattr("todo.plans.operations.MAX_CHANGES", 3)

    with pytest.raises(PlanTooLargeError, match="changes"):
        plan_in(world, *delete)
    with pytest.raises(PlanOutdatedError) as refused:
        world.write(CALLER, NOW, lambda work: PlanService(work).apply(plan_id))

    assert [each["field"] for each in refused.value.errors or ()] == ["changes"]
    assert world.run(lambda: count_tasks(world)) == 4


async def count_tasks(world: World) -> int:
    async with world.database.reading() as session:
        rows = await session.fetch(COUNTS, {})
    return int(rows[0][1])


def test_a_dry_run_leaves_no_trace_and_the_write_around_it_works(world: World) -> None:
    async def act(work: UnitOfWork) -> list[str]:
        async with work.dry_run() as attempt:
            await TaskService(attempt).create({"title": "gone"})
            await TaskService(attempt).create({"title": "gone", "due_date": "2027-01-06"})
            seen = [entry.operation for _, entry in attempt.recorded]
            assert all(entry.after for _, entry in attempt.recorded)
        await TaskService(work).create({"title": "kept"})
        return seen

    assert world.write(CALLER, NOW, act) == ["create", "create"]

    async def read_rows() -> list[Any]:
        async with world.database.reading() as session:
            return await session.fetch(COUNTS, {})

    assert [tuple(row) for row in world.run(read_rows)] == [(1, 1)]
