"""Undo of runs and of all that a token changed, on both databases."""

import json
import uuid
from typing import Any

import pytest

from tests.integration.journal.undo_calls import (
    AGENT,
    CHANGES,
    RUN,
    TOKENS,
    UNDO,
    add,
    titles,
    undo,
)
from tests.integration.service import Service
from tests.integration.users import LISTS, TASKS, Person, code, read, use_token


def test_a_collaborator_does_not_widen_a_run_by_its_name(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    task = alice.create(TASKS, title="as it was", list_id=home["id"])
    add(alice.http, "of alice's run")
    add(bob.http, "of bob's run", list_id=home["id"])
    read(bob.http.patch(f"{TASKS}/{task['id']}", json={"title": "as bob wants it"}, headers=RUN))

    undone = undo(alice.http, run_id="weekly-7")

    assert [change["kind"] for change in undone["items"]] == ["task"]
    assert titles(alice) == ["as bob wants it", "of bob's run"]


@pytest.mark.longer(300)
def test_a_collaborator_does_not_block_a_run_by_its_name(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    add(alice.http, "of alice's run")
    # More than can be undone at once.
    many = [{"op": "create", "task": {"title": "t", "list_id": home["id"]}}] * 100
    for _ in range(11):
        read(bob.http.post(f"{TASKS}/batch", json={"operations": many}, headers=RUN))

    assert len(undo(alice.http, run_id="weekly-7")["items"]) == 1


def test_the_run_of_another_user_is_undone_by_naming_the_user(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    add(bob.http, "of bob's run", list_id=home["id"])

    assert alice.http.post(UNDO, json={"run_id": "weekly-7"}).status_code == 404
    undo(alice.http, run_id="weekly-7", actor=bob.name)

    assert titles(alice) == []


def test_a_writer_undoes_the_own_run_in_a_shared_list(alice: Person, bob: Person) -> None:
    home = alice.create(LISTS, name="Home")
    alice.share(home["id"], bob, "write")
    add(alice.http, "of alice's run", list_id=home["id"])
    add(bob.http, "of bob's run", list_id=home["id"])

    undo(bob.http, run_id="weekly-7", list=home["id"])

    assert titles(alice) == ["of alice's run"]


def test_each_token_has_runs_of_its_own(service: Service, alice: Person) -> None:
    with (
        use_token(service, alice, **AGENT) as one,
        use_token(service, alice, **AGENT) as other,
    ):
        add(one, "of one")
        add(other, "of the other")
        add(alice.http, "by hand")

        undo(other, run_id="weekly-7")
        assert titles(alice) == ["by hand", "of one"]
        undo(alice.http, run_id="weekly-7")
        assert titles(alice) == ["of one"]


def test_a_person_undoes_the_run_of_the_only_token_that_has_it(
    service: Service, alice: Person
) -> None:
    with use_token(service, alice, **AGENT) as agent:
        add(agent, "of the agent")

    undo(alice.http, run_id="weekly-7")

    assert titles(alice) == []


def test_between_the_runs_of_several_tokens_one_must_be_named(
    service: Service, alice: Person
) -> None:
    ids = []
    for title in ("one", "two"):
        token = alice.create(TOKENS, **AGENT)
        ids.append(token["id"])
        with service.client(token["token"]) as agent:
            add(agent, title)

    refused = alice.http.post(UNDO, json={"run_id": "weekly-7"})
    assert code(refused) == (409, "undo-conflict")
    errors = refused.json()["errors"]
    assert [(error["field"], error["code"]) for error in errors] == [("token_id", "ambiguous")] * 2
    assert sorted(error["message"].split()[-1] for error in errors) == sorted(ids)
    assert titles(alice) == ["one", "two"]

    undo(alice.http, run_id="weekly-7", token_id=ids[0])
    assert titles(alice) == ["two"]


@pytest.mark.longer(300)
@pytest.mark.parametrize("by", ["run_id", "token_id"])
def test_changes_outside_a_list_do_not_crowd_out_those_in_it(
    service: Service, alice: Person, by: str
) -> None:
    home = alice.create(LISTS, name="Home")["id"]
    token = alice.create(TOKENS, **AGENT)
    outside = [{"op": "create", "task": {"title": "outside"}}] * 100
    inside = [{"op": "create", "task": {"title": "inside", "list_id": home}}] * 3
    batches = [inside[:1], *[outside] * 10, inside[1:]]
    with service.client(token["token"]) as agent:
        for batch in batches:
            read(agent.post(f"{TASKS}/batch", json={"operations": batch}, headers=RUN))
    what = {"token_id": token["id"], "run_id": "weekly-7"}[by]

    assert len(undo(alice.http, list=home, **{by: what})["items"]) == 3

    assert read(alice.http.get(TASKS, params={"list": home}))["items"] == []


def test_of_several_tokens_a_collaborator_sees_those_that_changed_the_list(
    service: Service, alice: Person, bob: Person
) -> None:
    home = alice.create(LISTS, name="Home")["id"]
    alice.share(home, bob, "write")
    tokens = [alice.create(TOKENS, **AGENT) for _ in range(3)]
    places: list[dict[str, Any]] = [{"list_id": home}, {"list_id": home}, {}]
    for token, place in zip(tokens, places, strict=True):
        with service.client(token["token"]) as agent:
            add(agent, "of a run", **place)
    what = {"run_id": "weekly-7", "actor": alice.name, "list": home}

    refused = bob.http.post(UNDO, json=what)
    assert code(refused) == (409, "undo-conflict")
    shown = {error["message"].split()[-1] for error in refused.json()["errors"]}
    assert shown == {token["id"] for token in tokens[:2]}
    undo(bob.http, **what, token_id=tokens[0]["id"])
    assert titles(alice) == ["of a run", "of a run"]


def test_the_run_of_another_user_is_that_of_the_only_token_in_the_list(
    service: Service, alice: Person, bob: Person
) -> None:
    home = alice.create(LISTS, name="Home")["id"]
    alice.share(home, bob, "write")
    add(alice.http, "by hand", list_id=home)
    with use_token(service, alice, **AGENT) as agent:
        add(agent, "of the agent", list_id=home)

    refused = bob.http.post(UNDO, json={"run_id": "weekly-7", "actor": alice.name, "list": home})

    # That both came with a JSON Web Token does not make bob's token one of alice's.
    assert code(refused) == (409, "undo-conflict")
    assert titles(alice) == ["by hand", "of the agent"]


def test_everything_that_a_token_changed_is_undone(
    service: Service, alice: Person, bob: Person
) -> None:
    task = alice.create(TASKS, title="as it was")
    token = alice.create(TOKENS, **AGENT)
    with service.client(token["token"]) as agent:
        add(agent, "in a run")
        read(agent.post(TASKS, json={"title": "outside of it"}), 201)
        read(agent.patch(f"{TASKS}/{task['id']}", json={"title": "changed"}))
    alice.create(TASKS, title="by hand")

    for stranger, named in ((bob, token["id"]), (alice, str(uuid.uuid4()))):
        assert stranger.http.post(UNDO, json={"token_id": named}).status_code == 404
    undone = undo(alice.http, token_id=token["id"])

    assert len(undone["items"]) == 3
    assert titles(alice) == ["as it was", "by hand"]


@pytest.mark.parametrize("by", ["token_id", "run_id"])
def test_what_undid_its_own_change_is_undone_all_the_same(
    service: Service, alice: Person, by: str
) -> None:
    one, two, three = (alice.create(TASKS, title=f"as it was {n}") for n in range(3))
    read(alice.http.patch(f"{TASKS}/{three['id']}", json={"title": "as it is"}))
    token = alice.create(TOKENS, **AGENT)
    with service.client(token["token"]) as agent:
        agent.headers.update(RUN)
        read(agent.patch(f"{TASKS}/{one['id']}", json={"title": "spoiled"}))
        own = read(agent.get(CHANGES, params={"since": 5}))["next_since"]
        read(agent.patch(f"{TASKS}/{two['id']}", json={"title": "spoiled"}))
        undo(agent, seq=own)
        # A change of somebody else, which is spoiled by taking it back.
        undo(agent, seq=4)
    assert titles(alice) == ["as it was 0", "as it was 2", "spoiled"]

    named = {"token_id": token["id"], "run_id": "weekly-7"}
    undo(alice.http, **{by: named[by]})

    assert titles(alice) == ["as it is", "as it was 0", "as it was 1"]


def test_a_run_that_made_a_token_and_set_the_zone_is_undone_without_these(alice: Person) -> None:
    add(alice.http, "of the run")
    made = read(alice.http.post(TOKENS, json=AGENT, headers=RUN), 201)
    read(alice.http.patch("/api/v1/me", json={"zone": "Asia/Tokyo"}, headers=RUN))
    assert alice.http.delete(f"{TOKENS}/{made['id']}", headers=RUN).status_code == 204

    undone = undo(alice.http, run_id="weekly-7")

    assert [change["kind"] for change in undone["items"]] == ["task"]
    assert [
        (each["seq"], each["operation"], each["kind"], each["id"]) for each in undone["not_undone"]
    ] == [
        (2, "create", "token", made["id"]),
        (3, "update", "account", alice.name),
        (4, "delete", "token", made["id"]),
    ]
    assert "revoke the token instead" in undone["not_undone"][0]["message"]
    assert titles(alice) == []
    assert read(alice.http.get("/api/v1/me"))["zone"] == "Asia/Tokyo"


def test_a_run_of_which_nothing_can_be_undone_is_refused(alice: Person) -> None:
    read(alice.http.post(TOKENS, json=AGENT, headers=RUN), 201)

    refused = alice.http.post(UNDO, json={"run_id": "weekly-7"})

    assert code(refused) == (409, "undo-conflict")
    assert [error["code"] for error in refused.json()["errors"]] == ["not-undone"]


@pytest.mark.parametrize(
    "what",
    [
        {"seq": 1, "token_id": str(uuid.uuid4())},
        {"seq": 1, "actor": "bob"},
        {"actor": "bob"},
        {"token_id": str(uuid.uuid4()), "actor": "bob"},
        {"token_id": "x"},
        {"run_id": "r", "actor": ""},
        {"run_id": "r", "whole_request": True},
        {"token_id": str(uuid.uuid4()), "whole_request": True},
    ],
    ids=lambda what: json.dumps(sorted(what)),
)
def test_what_does_not_go_together_is_refused(alice: Person, what: dict[str, Any]) -> None:
    assert alice.http.post(UNDO, json=what).status_code == 422
