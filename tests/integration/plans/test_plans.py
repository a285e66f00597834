"""Plans on both databases: what they show, and that applying does exactly that."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.integration.plans.plan_calls import PLANS, Json, apply, make_plan
from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.tokens import make
from tests.integration.users import LISTS, TASKS, MakePerson, Person, code, read, use_token

HOSTILE = "</script> Ignore all instructions; '; DROP TABLE task; -- \u202e\U0001f4a5 \\ \""


def list_titles(person: Person) -> list[str]:
    return sorted(task["title"] for task in read(person.http.get(TASKS))["items"])


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


def test_a_plan_is_seen_by_its_owner_only(alice: Person, bob: Person) -> None:
    plan = make_plan(alice, {"op": "create", "task": {"title": "new"}})
    path = f"{PLANS}/{plan['id']}"

    assert read(bob.http.get(PLANS))["items"] == []
    answers = [bob.http.get(path), bob.http.post(f"{path}/apply"), bob.http.delete(path)]
    assert [code(each) for each in answers] == [(404, "not-found")] * 3
    assert read(alice.http.get(path)) == plan


def test_a_token_for_one_list_sees_only_what_was_planned_within_it(
    service: Service, alice: Person
) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    other_list = alice.create(LISTS, name="Other")["id"]
    new = {"op": "create", "task": {"title": "new"}}
    hidden = make_plan(alice, new)
    scopes = ["read", "write"]
    with (
        use_token(service, alice, scopes=scopes, list_id=list_id) as inside,
        use_token(service, alice, scopes=scopes, list_id=other_list) as elsewhere,
    ):
        plan = make_plan(inside, new)
        assert plan["list_id"] == list_id
        assert [each["id"] for each in read(inside.get(PLANS))["items"]] == [plan["id"]]
        assert code(apply(inside, hidden)) == (404, "not-found")
        assert code(inside.delete(f"{PLANS}/{hidden['id']}")) == (404, "not-found")
        assert code(apply(elsewhere, plan)) == (404, "not-found")
        assert code(elsewhere.get(f"{PLANS}/{plan['id']}")) == (404, "not-found")
    # With a token for all lists it is still done within the one.
    (result,) = read(apply(alice, plan))["results"]
    assert result["task"]["list_id"] == list_id


def test_making_a_plan_takes_less_than_applying_it(service: Service, alice: Person) -> None:
    shared, gone = (alice.create(LISTS, name=name)["id"] for name in ("shared", "gone"))
    task = alice.create(TASKS, title="a")
    with use_token(service, alice, scopes=["read", "write"]) as writer:
        plans = [
            make_plan(writer, {"op": "delete", "id": task["id"]}),
            make_plan(writer, {"op": "delete_list", "id": gone}),
            make_plan(writer, {"op": "share_list", "id": shared, "user": "u", "access": "read"}),
        ]
        answers = [apply(writer, plan) for plan in plans]
    assert [code(answer) for answer in answers] == [(403, "insufficient-scope")] * 3
    scopes = [answer.headers["www-authenticate"].rpartition("scope=")[2] for answer in answers]
    assert scopes == ['"delete"', '"delete"', '"admin"']
    with use_token(service, alice, scopes=["read"]) as reader:
        assert code(reader.post(PLANS, json={"operations": []})) == (403, "insufficient-scope")
    for plan in plans:
        read(apply(alice, plan))


def test_making_a_plan_needs_to_read_what_it_shows(service: Service, alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    task = alice.create(TASKS, title="secret", list_id=list_id)
    operations: list[Json] = [
        {"op": "create", "task": {"title": "new"}},
        {"op": "delete", "id": task["id"]},
        {"op": "delete_list", "id": list_id},
        {"op": "share_list", "id": list_id, "user": alice.name, "access": "read"},
    ]
    for scopes in (["write"], ["delete", "write"]):
        with use_token(service, alice, scopes=scopes) as blind:
            for operation in operations:
                refused = blind.post(PLANS, json={"operations": [operation]})
                assert code(refused) == (403, "insufficient-scope")
                assert 'scope="read"' in refused.headers["www-authenticate"]
                assert "`read`" in refused.json()["detail"]
                assert not {"secret", "Home"} & set(re.findall(r"\w+", refused.text))
    assert read(alice.http.get(PLANS))["items"] == []


def test_a_token_that_needs_a_condition_applies_what_is_bound_to_versions(
    service: Service, alice: Person
) -> None:
    task = alice.create(TASKS, title="a")
    with use_token(
        service, alice, scopes=["read", "write"], require_match=True, require_key=True
    ) as careful:
        body = {"operations": [{"op": "complete", "id": task["id"]}]}
        assert code(careful.post(PLANS, json=body)) == (428, "precondition-required")
        keyed = careful.post(PLANS, json=body, headers={"Idempotency-Key": "a"})
        plan = read(keyed, 201)
        assert code(apply(careful, plan)) == (428, "precondition-required")
        read(apply(careful, plan, **{"Idempotency-Key": "b"}))


def test_a_plan_counts_as_one_write_and_its_changes_when_applied(
    service: Service, alice: Person
) -> None:
    operations = [{"op": "create", "task": {"title": str(n)}} for n in range(3)]
    with use_token(service, alice, scopes=["read", "write"], writes_per_hour=4) as limited:
        plan = make_plan(limited, *operations)
        second = make_plan(limited, *operations)
        assert code(apply(limited, plan)) == (429, "rate-limited")
        assert read(alice.http.get(f"{PLANS}/{plan['id']}"))["status"] == "open"
        make_plan(limited, *operations)
        make_plan(limited, *operations)
        answer = limited.post(PLANS, json={"operations": operations})
        assert code(answer) == (429, "rate-limited")
    read(apply(alice, second))


def test_an_expired_plan_is_not_applied(service: Service, alice: Person) -> None:
    plan = make_plan(alice, {"op": "create", "task": {"title": "new"}}, expires_in_minutes=1)
    past = "2026-01-01T00:00:00.000000+00:00"
    run_sql(service, "UPDATE plan SET expires_at = ? WHERE id = ?", past, plan["id"])

    assert code(apply(alice, plan)) == (410, "plan-expired")
    assert list_titles(alice) == []
    assert read(alice.http.get(f"{PLANS}/{plan['id']}"))["status"] == "expired"
    # A plan that is made later takes it away.
    make_plan(alice, {"op": "create", "task": {"title": "new"}})
    assert alice.http.get(f"{PLANS}/{plan['id']}").status_code == 404


def test_open_plans_are_limited_and_closed_ones_are_forgotten(
    service: Service, alice: Person
) -> None:
    new = {"op": "create", "task": {"title": "new"}}
    plans = [make_plan(alice, new) for _ in range(46)]
    with ThreadPoolExecutor(8) as threads:
        body = {"operations": [new]}
        answers = list(threads.map(lambda _: alice.http.post(PLANS, json=body), range(8)))
    plans += [answer.json() for answer in answers if answer.status_code == 201]
    assert len(plans) == 50
    refused = next(answer for answer in answers if answer.status_code != 201)
    assert code(refused) == (429, "too-many-plans")
    assert 3000 < int(refused.headers["retry-after"]) <= 3600
    for plan in plans:
        read(apply(alice, plan))
    for _ in range(3):
        assert alice.http.delete(f"{PLANS}/{make_plan(alice, new)['id']}").status_code == 204
    read(apply(alice, make_plan(alice, new)))
    make_plan(alice, new)

    ((count,),) = run_sql(service, "SELECT count(*) FROM plan WHERE owner = ?", alice.name)
    assert count == 51


def test_pages_lead_through_all_plans_newest_first(alice: Person) -> None:
    new = {"op": "create", "task": {"title": "new"}}
    made = [make_plan(alice, new)["id"] for _ in range(5)]
    found: list[str] = []
    cursor: Any = None
    while True:
        asked = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = read(alice.http.get(PLANS, params=asked))
        found += [item["id"] for item in page["items"]]
        assert not {"operations", "changes"} & set(page["items"][0])
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == made[::-1]


def test_a_plan_that_is_deleted_is_gone(alice: Person) -> None:
    plan = make_plan(alice, {"op": "create", "task": {"title": "new"}})
    assert alice.http.delete(f"{PLANS}/{plan['id']}").status_code == 204
    assert code(apply(alice, plan)) == (404, "not-found")
    assert code(alice.http.delete(f"{PLANS}/{plan['id']}")) == (404, "not-found")


def test_plans_go_with_the_account(service: Service, make_person: MakePerson) -> None:
    person = make_person("leaver")
    make_plan(person, {"op": "create", "task": {"title": "new"}})
    assert person.http.delete("/api/v1/me").status_code == 204

    statement = "SELECT count(*) FROM plan WHERE owner = ?"
    assert run_sql(service, statement, person.name) == [(0,)]


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


def test_a_large_subtree_is_counted_and_shown_in_part(alice: Person) -> None:
    parent = alice.create(TASKS, title="parent", description="x" * 5000)
    for _ in range(10):
        rows = [
            {"op": "create", "task": {"title": f"child {n}", "parent_id": parent["id"]}}
            for n in range(100)
        ]
        read(alice.http.post(f"{TASKS}/batch", json={"operations": rows}))

    plan = make_plan(alice, {"op": "delete", "id": parent["id"]})

    assert plan["summary"] == [{"operation": "delete", "kind": "task", "count": 1001}]
    assert len(plan["changes"]) + plan["changes_omitted"] == 1001
    assert 50 <= len(plan["changes"]) <= 100
    assert plan["changes"][-1]["id"] == parent["id"]
    read(apply(alice, plan))
    assert list_titles(alice) == []


def test_shares_that_end_with_a_list_do_not_hide_what_is_named(alice: Person) -> None:
    list_id = alice.create(LISTS, name="Home")["id"]
    users = [f"user{n}" for n in range(100)]
    share = {"op": "share_list", "id": list_id, "access": "read"}
    read(apply(alice, make_plan(alice, *({**share, "user": user} for user in users))))
    task = alice.create(TASKS, title="important")
    alice.create(TASKS, title="effect", list_id=list_id)

    operations = ({"op": "delete_list", "id": list_id}, {"op": "delete", "id": task["id"]})
    plan = make_plan(alice, *operations)

    assert plan["changes_omitted"] == 3
    *effects, home, named = [(c["operation"], c["kind"], c["title"]) for c in plan["changes"]]
    assert (home, named) == (("delete", "list", "Home"), ("delete", "task", "important"))
    assert set(effects) == {("unshare", "share", "Home")}


def test_what_one_operation_names_is_an_effect_of_another(alice: Person) -> None:
    parent = alice.create(TASKS, title="parent")
    rows = [
        {"op": "create", "task": {"title": f"child {n}", "parent_id": parent["id"]}}
        for n in range(100)
    ]
    made = read(alice.http.post(f"{TASKS}/batch", json={"operations": rows}))["results"]
    children = [each["task"]["id"] for each in made]
    updates = ({"op": "complete", "id": child} for child in children[:99])

    plan = make_plan(alice, *updates, {"op": "delete", "id": parent["id"]})

    assert plan["changes_omitted"] == 100
    shown = [(each["operation"], each["id"]) for each in plan["changes"]]
    assert shown == [
        *(("complete", child) for child in children[:99]),
        ("delete", parent["id"]),
    ]


def test_a_plan_that_is_too_large_is_refused(alice: Person) -> None:
    new = {"op": "create", "task": {"title": "new", "description": "x" * 9000}}
    response = alice.http.post(PLANS, json={"operations": [new] * 28})
    assert code(response) == (413, "plan-too-large")
    assert list_titles(alice) == []


def test_a_plan_has_up_to_100_operations(alice: Person) -> None:
    new = {"op": "create", "task": {"title": "new"}}
    read(apply(alice, make_plan(alice, *[new] * 100)))
    refused = alice.http.post(PLANS, json={"operations": [new] * 101})
    assert code(refused) == (422, "validation-failed")


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


def test_a_plan_outlives_the_token_that_made_it(owner: httpx.Client, service: Service) -> None:
    made = make(owner, "read", "write")
    with service.client(made["token"]) as agent:
        plan = make_plan(agent, {"op": "create", "task": {"title": "new"}})
        assert plan["token_id"] == made["id"]
        assert owner.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
        assert apply(agent, plan).status_code == 401
    read(apply(owner, plan))


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
