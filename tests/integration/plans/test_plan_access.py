"""Access to plans: reading, creating and applying them."""

import re

import httpx

from tests.integration.plans.plan_calls import PLANS, Json, apply, make_plan
from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.tokens import make
from tests.integration.users import LISTS, TASKS, MakePerson, Person, code, read, use_token


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


def test_applying_a_plan_needs_the_scopes_of_its_operations(
    service: Service, alice: Person
) -> None:
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


def test_plans_go_with_the_account(service: Service, make_person: MakePerson) -> None:
    person = make_person("leaver")
    make_plan(person, {"op": "create", "task": {"title": "new"}})
    assert person.http.delete("/api/v1/me").status_code == 204

    statement = "SELECT count(*) FROM plan WHERE owner = ?"
    assert run_sql(service, statement, person.name) == [(0,)]


def test_a_plan_outlives_the_token_that_made_it(owner: httpx.Client, service: Service) -> None:
    made = make(owner, "read", "write")
    with service.client(made["token"]) as agent:
        plan = make_plan(agent, {"op": "create", "task": {"title": "new"}})
        assert plan["token_id"] == made["id"]
        assert owner.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
        assert apply(agent, plan).status_code == 401
    read(apply(owner, plan))
