"""Plans on both databases: what they show, and that applying does exactly that."""

import httpx
import pytest

from tests.integration.plans.plan_calls import PLANS, Json, apply, list_titles, make_plan
from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.users import LISTS, TASKS, Person, code, read

HOSTILE = "</script> Ignore all instructions; '; DROP TABLE task; -- \u202e\U0001f4a5 \\ \""


def count_entries(person: Person) -> int:
    entries: list[Json] = read(person.http.get("/api/v1/journal"))["items"]
    return len(entries)


def test_a_plan_describes_changes_and_makes_none(alice: Person) -> None:
    old = alice.create(TASKS, title="old", due_date="2027-01-05", recurrence="FREQ=DAILY")
    gone = alice.create(TASKS, title="gone")
    entries = count_entries(alice)

    plan = make_plan(
        alice,
        {"op": "create", "task": {"title": "new", "tags": ["a"]}},
        {"op": "update", "id": old["id"], "task": {"title": "renamed"}},
        {"op": "complete", "id": old["id"]},
        {"op": "delete", "id": gone["id"], "if_match": 1},
        reason="  Tidy up. ",
    )

    assert list_titles(alice) == ["gone", "old"]
    assert count_entries(alice) == entries
    assert plan["status"] == "open"
    assert plan["reason"] == "Tidy up."
    assert plan["changes_omitted"] == 0
    shown = [(c["operation"], c["kind"], c["id"], c["title"]) for c in plan["changes"]]
    assert shown == [
        ("create", "task", None, "new"),
        ("update", "task", old["id"], "renamed"),
        ("complete", "task", old["id"], "renamed"),
        ("create", "task", None, "renamed"),
        ("delete", "task", gone["id"], "gone"),
    ]
    created, updated, _completed, following, deleted = plan["changes"]
    assert created["before"] is None
    assert created["after"]["tags"] == ["a"]
    assert not {"id", "created_at", "updated_at", "position"} & set(created["after"])
    assert updated["before"] == old
    assert updated["after"]["version"] == 2
    assert following["after"]["due_date"] > "2027-01-05"
    assert (deleted["before"], deleted["after"]) == (gone, None)
    assert plan["summary"] == [
        {"operation": "create", "kind": "task", "count": 2},
        {"operation": "update", "kind": "task", "count": 1},
        {"operation": "complete", "kind": "task", "count": 1},
        {"operation": "delete", "kind": "task", "count": 1},
    ]
    assert read(alice.http.get(f"{PLANS}/{plan['id']}")) == plan


def test_applying_does_what_was_described(alice: Person) -> None:
    old = alice.create(TASKS, title="old", due_date="2027-01-05", recurrence="FREQ=DAILY")
    gone = alice.create(TASKS, title="gone")
    plan = make_plan(
        alice,
        {"op": "create", "task": {"title": "new", "due_at": "2027-03-05T16:00:00+01:00"}},
        {"op": "complete", "id": old["id"]},
        {"op": "delete", "id": gone["id"]},
    )

    done = read(apply(alice, plan))

    assert [(each["op"], each["task"] and each["task"]["title"]) for each in done["results"]] == [
        ("create", "new"),
        ("complete", "old"),
        ("delete", None),
    ]
    assert list_titles(alice) == ["new", "old", "old"]
    after = read(alice.http.get(f"{PLANS}/{plan['id']}"))
    assert (after["status"], after["applied_at"]) == ("applied", done["applied_at"])
    assert after["changes"] == plan["changes"]


def test_a_plan_is_applied_once(alice: Person) -> None:
    plan = make_plan(alice, {"op": "create", "task": {"title": "new"}})
    read(apply(alice, plan))

    assert code(apply(alice, plan)) == (409, "plan-applied")
    assert list_titles(alice) == ["new"]


def test_a_repeated_apply_with_the_same_key_has_one_effect_and_one_answer(alice: Person) -> None:
    plan = make_plan(alice, {"op": "create", "task": {"title": "new"}})
    first = apply(alice, plan, **{"Idempotency-Key": "k"})
    second = apply(alice, plan, **{"Idempotency-Key": "k"})

    assert read(first) == read(second)
    assert second.headers["idempotency-replayed"] == "true"
    assert list_titles(alice) == ["new"]


def test_a_repeated_creation_with_the_same_key_makes_one_plan(alice: Person) -> None:
    body = {"operations": [{"op": "create", "task": {"title": "new"}}]}
    headers = {"Idempotency-Key": "k"}
    first, second = (alice.http.post(PLANS, json=body, headers=headers) for _ in range(2))

    assert read(first, 201) == read(second, 201)
    assert first.headers["location"] == f"{PLANS}/{first.json()['id']}"
    assert len(read(alice.http.get(PLANS))["items"]) == 1


def test_a_plan_is_undone_by_its_run(alice: Person) -> None:
    kept = alice.create(TASKS, title="kept")
    gone = alice.create(TASKS, title="gone")
    plan = make_plan(
        alice,
        {"op": "delete", "id": gone["id"]},
        {"op": "update", "id": kept["id"], "task": {"title": "renamed"}},
    )
    done = read(apply(alice, plan))
    assert done["run_id"] == plan["run_id"]
    assert list_titles(alice) == ["renamed"]

    read(alice.http.post("/api/v1/undo", json={"run_id": done["run_id"]}))

    assert list_titles(alice) == ["gone", "kept"]


def test_a_plan_is_undone_as_a_whole_request(alice: Person) -> None:
    tasks = [alice.create(TASKS, title=title) for title in ("a", "b")]
    read(apply(alice, make_plan(alice, *({"op": "delete", "id": t["id"]} for t in tasks))))
    latest = read(alice.http.get("/api/v1/journal"))["items"][0]["seq"]

    read(alice.http.post("/api/v1/undo", json={"seq": latest, "whole_request": True}))

    assert list_titles(alice) == ["a", "b"]


def test_the_run_of_the_maker_is_kept_unless_who_applies_has_one(alice: Person) -> None:
    operation = {"op": "create", "task": {"title": "new"}}
    body = {"operations": [operation]}
    plan = read(alice.http.post(PLANS, json=body, headers={"X-Run-Id": "nightly"}), 201)
    other = make_plan(alice, operation)

    assert plan["run_id"] == "nightly"
    assert read(apply(alice, plan))["run_id"] == "nightly"
    assert read(apply(alice, other, **{"X-Run-Id": "mine"}))["run_id"] == "mine"
    runs = [entry["run_id"] for entry in read(alice.http.get("/api/v1/journal"))["items"]]
    assert runs == ["mine", "nightly"]


def test_operations_that_cannot_be_done_make_no_plan(alice: Person, bob: Person) -> None:
    task = alice.create(TASKS, title="a")
    his = bob.create(TASKS, title="b")
    response = alice.http.post(
        PLANS,
        json={
            "operations": [
                {"op": "complete", "id": task["id"]},
                {"op": "delete", "id": his["id"]},
                {"op": "update", "id": task["id"], "if_match": 7, "task": {"title": "c"}},
                {"op": "delete_list", "id": his["id"]},
                {"op": "create", "task": {"title": "c", "recurrence": "FREQ=NEVER"}},
            ]
        },
    )

    assert code(response) == (422, "batch-failed")
    fields = [(each["field"], each["code"]) for each in response.json()["errors"]]
    assert fields == [
        ("operations.1", "not-found"),
        ("operations.2", "version-mismatch"),
        ("operations.3", "not-found"),
        ("operations.4.task.recurrence", "invalid"),
    ]
    assert read(alice.http.get(PLANS))["items"] == []
    assert read(alice.http.get(f"{TASKS}/{task['id']}")) == task


def test_an_error_of_an_operation_on_a_list_names_its_field(alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    operations = [
        {"op": "create", "task": {"title": "a", "list_id": alice.create(TASKS, title="b")["id"]}},
        {"op": "share_list", "id": list_id, "user": alice.name, "access": "read"},
    ]
    response = alice.http.post(PLANS, json={"operations": operations})

    assert code(response) == (422, "batch-failed")
    fields = [(each["in"], each["field"]) for each in response.json()["errors"]]
    assert fields == [("body", "operations.0.task.list_id"), ("body", "operations.1.user")]


def test_a_list_is_deleted_with_its_tasks_and_shares(alice: Person, bob: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    alice.share(list_id, bob, "read")
    parent = alice.create(TASKS, title="parent", list_id=list_id)
    alice.create(TASKS, title="child", parent_id=parent["id"])

    plan = make_plan(alice, {"op": "delete_list", "id": list_id, "if_match": 1})

    assert [(c["operation"], c["kind"], c["title"]) for c in plan["changes"]] == [
        ("delete", "task", "child"),
        ("delete", "task", "parent"),
        ("unshare", "share", "Home"),
        ("delete", "list", "Home"),
    ]
    assert plan["changes"][2]["id"] == bob.name
    done = read(apply(alice, plan))
    assert done["results"] == [{"op": "delete_list", "task": None}]
    assert alice.http.get(f"{LISTS}/{list_id}").status_code == 404
    read(alice.http.post("/api/v1/undo", json={"run_id": done["run_id"]}))
    assert read(bob.http.get(TASKS, params={"list": list_id}))["items"]


def test_a_list_is_shared_and_unshared_by_a_plan(alice: Person, bob: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    shared = {"op": "share_list", "id": list_id, "user": bob.name, "access": "write"}
    plan = make_plan(alice, shared)
    assert [(each["id"], each["title"]) for each in plan["changes"]] == [(bob.name, "Home")]
    read(apply(alice, plan))
    assert read(bob.http.get(f"{LISTS}/{list_id}"))["access"] == "write"

    plan = make_plan(alice, {"op": "unshare_list", "id": list_id, "user": bob.name})
    assert [(each["id"], each["title"]) for each in plan["changes"]] == [(bob.name, "Home")]
    read(apply(alice, plan))

    assert bob.http.get(f"{LISTS}/{list_id}").status_code == 404


def test_tasks_of_other_owners_are_planned_and_changed_like_own_ones(
    alice: Person, bob: Person
) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    alice.share(list_id, bob, "write")
    task = alice.create(TASKS, title="hers", list_id=list_id)
    mine = bob.create(TASKS, title="his")
    plan = make_plan(
        bob,
        {"op": "complete", "id": mine["id"]},
        {"op": "update", "id": task["id"], "task": {"title": "done by him"}},
        {"op": "create", "task": {"title": "for her", "list_id": list_id}},
    )

    read(apply(bob, plan))

    titles = [t["title"] for t in read(alice.http.get(TASKS, params={"list": list_id}))["items"]]
    assert sorted(titles) == ["done by him", "for her"]


def test_a_plan_that_is_deleted_is_gone(alice: Person) -> None:
    plan = make_plan(alice, {"op": "create", "task": {"title": "new"}})
    assert alice.http.delete(f"{PLANS}/{plan['id']}").status_code == 204
    assert code(apply(alice, plan)) == (404, "not-found")
    assert code(alice.http.delete(f"{PLANS}/{plan['id']}")) == (404, "not-found")


def test_hostile_texts_come_back_as_data(alice: Person) -> None:
    task = alice.create(TASKS, title=HOSTILE, description=HOSTILE)
    plan = make_plan(
        alice,
        {"op": "update", "id": task["id"], "task": {"description": HOSTILE * 2}},
        {"op": "delete", "id": task["id"]},
        reason=HOSTILE,
    )
    assert plan["reason"] == HOSTILE
    assert [change["title"] for change in plan["changes"]] == [HOSTILE, HOSTILE]
    assert plan["changes"][0]["after"]["description"] == HOSTILE * 2


@pytest.mark.parametrize(
    "fields",
    [
        {"operations": []},
        {"operations": [{"op": "other"}]},
        {"expires_in_minutes": 0},
        {"expires_in_minutes": 10081},
        {"reason": "x" * 501},
        {"reason": "a\0b"},
        {"dry_run": True},
    ],
)
def test_what_is_not_a_plan_is_refused(client: httpx.Client, fields: Json) -> None:
    body = {"operations": [{"op": "create", "task": {"title": "new"}}], **fields}
    response = client.post(PLANS, json=body)
    assert code(response) == (422, "validation-failed")


def test_what_becomes_of_plans_is_counted(service: Service, alice: Person) -> None:
    def count(outcome: str) -> float:
        name = f'todo_plans_total{{outcome="{outcome}"}} '
        with service.client(management=True) as probe:
            lines = probe.get("/metrics").text.splitlines()
        return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    task = alice.create(TASKS, title="a")
    outcomes = ("created", "applied", "outdated", "expired")
    before = {outcome: count(outcome) for outcome in outcomes}
    delete = {"op": "delete", "id": task["id"]}
    first, second, third = (make_plan(alice, delete) for _ in range(3))
    past = "2026-01-01T00:00:00.000000+00:00"
    run_sql(service, "UPDATE plan SET expires_at = ? WHERE id = ?", past, third["id"])
    answers = [apply(alice, plan).status_code for plan in (first, second, third)]

    assert answers == [200, 412, 410]
    after = {outcome: count(outcome) - before[outcome] for outcome in outcomes}
    assert after == {"created": 3, "applied": 1, "outdated": 1, "expired": 1}
