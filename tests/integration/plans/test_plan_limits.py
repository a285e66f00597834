"""Limits of plans: number, age and size, and what a large one shows."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.integration.plans.plan_calls import PLANS, apply, list_titles, make_plan
from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.users import LISTS, TASKS, Person, code, read, use_token


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
