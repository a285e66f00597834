"""The chat of existing front ends: flat answers, whatever they send as the conversation."""

import uuid
from typing import Any

import pytest

from tests.integration.users import Person, code, read

FLAT = {"conversation_id", "response", "tool_calls", "plan", "degraded", "run_id"}


def chat(person: Person, message: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    body = {"message": message, **more}
    return read(person.http.post(f"/api/{person.name}/chat", json=body))


def test_a_message_makes_a_task_and_the_answer_is_flat(alice: Person) -> None:
    answer = chat(alice, "add buy milk")

    assert set(answer) == FLAT
    assert isinstance(answer["response"], str)
    assert (answer["plan"], answer["degraded"]) == (None, False)
    (call,) = answer["tool_calls"]
    assert set(call) == {"tool_name", "arguments", "result"}
    (task,) = alice.http.get(f"/api/{alice.name}/tasks").json()
    assert task["title"].lower() == "buy milk"
    read(alice.http.post("/api/v1/undo", json={"run_id": answer["run_id"]}))
    assert alice.http.get(f"/api/{alice.name}/tasks").json() == []


def test_a_deletion_waits_for_a_yes_in_the_same_conversation(alice: Person) -> None:
    for title in ("buy milk", "call the bank"):
        alice.create("/api/v1/tasks", title=title)

    proposed = chat(alice, "delete buy milk")
    assert proposed["plan"]["id"]
    assert len(alice.http.get(f"/api/{alice.name}/tasks").json()) == 2
    elsewhere = chat(alice, "yes")
    assert elsewhere["conversation_id"] != proposed["conversation_id"]
    assert len(alice.http.get(f"/api/{alice.name}/tasks").json()) == 2
    chat(alice, "yes", conversation_id=proposed["conversation_id"])
    (left,) = alice.http.get(f"/api/{alice.name}/tasks").json()
    assert left["title"] == "call the bank"


@pytest.mark.parametrize("old", [None, 0, 17, -1, 1.5, "", "17", "conv_17", "null", 10**30])
def test_an_id_of_another_backend_starts_a_conversation(alice: Person, old: object) -> None:
    first = chat(alice, "help", conversation_id=old)
    second = chat(alice, "help", conversation_id=first["conversation_id"], extra="field")

    assert second["conversation_id"] == first["conversation_id"]


@pytest.mark.parametrize("other", [[], {}, True, False, ["x"]])
def test_what_is_no_id_is_refused(alice: Person, other: object) -> None:
    body = {"message": "help", "conversation_id": other}
    assert code(alice.http.post(f"/api/{alice.name}/chat", json=body)) == (422, "validation-failed")


def test_a_conversation_that_is_not_there_is_not_found(alice: Person, bob: Person) -> None:
    foreign = chat(bob, "help")["conversation_id"]
    for missing in (foreign, str(uuid.uuid4())):
        body = {"message": "help", "conversation_id": missing}
        answer = alice.http.post(f"/api/{alice.name}/chat", json=body)
        assert code(answer) == (404, "not-found")


def test_another_user_in_the_address_is_refused(alice: Person, bob: Person) -> None:
    answer = alice.http.post(f"/api/{bob.name}/chat", json={"message": "help"})
    assert code(answer) == (403, "other-user")


@pytest.mark.parametrize("message", ["", "  ", "x" * 10_001, None, 1])
def test_a_message_has_a_text(alice: Person, message: object) -> None:
    answer = alice.http.post(f"/api/{alice.name}/chat", json={"message": message})
    assert code(answer) == (422, "validation-failed")


def test_the_longest_message_is_accepted_however_it_is_escaped(alice: Person) -> None:
    content = b'{"message": "' + b"\\ud83e\\udd8a" * 10_000 + b'"}'
    answer = alice.http.post(
        f"/api/{alice.name}/chat", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200, answer.text


def test_a_repeated_message_is_carried_out_once(alice: Person) -> None:
    headers = {"Idempotency-Key": "k"}
    path = f"/api/{alice.name}/chat"
    answers = [
        alice.http.post(path, json={"message": "add buy milk"}, headers=headers) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert len(alice.http.get(f"/api/{alice.name}/tasks").json()) == 1
