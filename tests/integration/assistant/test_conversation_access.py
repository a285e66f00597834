"""Access to conversations, and the storage limit of an account."""

import httpx
import pytest

from tests.integration.assistant.test_conversations import (
    ASSISTANT,
    CONVERSATIONS,
    list_ids,
    send,
)
from tests.integration.service import Service
from tests.integration.stored import run_sql
from tests.integration.tokens import Open, make
from tests.integration.users import LISTS, Person, code, read
from todo.assistant.errors import MAX_BYTES

SCOPES = ("assistant", "delete", "read", "write")


def continue_(client: httpx.Client, conversation_id: str) -> tuple[int, str]:
    body = {"message": "help", "conversation_id": conversation_id}
    return code(client.post(ASSISTANT, json=body))


def test_a_token_for_one_list_has_conversations_of_its_own(alice: Person, connect: Open) -> None:
    home, work = (alice.create(LISTS, name=name)["id"] for name in ("Home", "Work"))
    at_home, at_work = (
        connect(make(alice.http, *SCOPES, list_id=each)["token"]) for each in (home, work)
    )
    of_all = send(alice.http)["conversation_id"]
    of_home = send(at_home)["conversation_id"]

    assert list_ids(at_home) == [of_home]
    assert list_ids(at_work) == []
    assert list_ids(alice.http) == [of_home, of_all]
    for client, foreign in ((at_home, of_all), (at_work, of_home), (at_work, of_all)):
        assert code(client.get(f"{CONVERSATIONS}/{foreign}")) == (404, "not-found")
        assert code(client.delete(f"{CONVERSATIONS}/{foreign}")) == (404, "not-found")
        assert continue_(client, foreign) == (404, "not-found")
    assert send(at_home, conversation_id=of_home)["conversation_id"] == of_home


def test_a_token_for_all_does_not_write_where_a_token_for_one_list_reads(
    alice: Person, connect: Open
) -> None:
    home = alice.create(LISTS, name="Home")["id"]
    of_home = send(connect(make(alice.http, *SCOPES, list_id=home)["token"]))["conversation_id"]
    path = f"{CONVERSATIONS}/{of_home}"

    before = read(alice.http.get(path))
    assert before["list_id"] == home
    assert continue_(alice.http, of_home) == (403, "other-conversation")
    assert read(alice.http.get(path)) == before
    # It outlives its list.
    assert alice.http.delete(f"{LISTS}/{home}").status_code == 204
    assert read(alice.http.get(path)) == before
    assert alice.http.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("scope", "allowed"), [("assistant", {"POST"}), ("read", {"GET"}), ("delete", {"DELETE"})]
)
def test_each_operation_needs_its_scope(
    alice: Person, connect: Open, scope: str, allowed: set[str]
) -> None:
    made = send(alice.http)["conversation_id"]
    client = connect(make(alice.http, scope)["token"])
    path = f"{CONVERSATIONS}/{made}"

    answers = {
        "POST": client.post(ASSISTANT, json={"message": "help"}),
        "GET": client.get(path),
        "DELETE": client.delete(path),
    }
    assert {method for method, answer in answers.items() if answer.is_success} == allowed
    assert {code(a) for a in answers.values() if not a.is_success} == {(403, "insufficient-scope")}


def test_an_account_keeps_so_much_and_is_not_advised_to_lose_it(
    service: Service, alice: Person, bob: Person
) -> None:
    made = send(alice.http)["conversation_id"]
    run_sql(service, "UPDATE conversation SET size = ? WHERE id = ?", MAX_BYTES, made)

    answer = alice.http.post(ASSISTANT, json={"message": "add buy milk"})
    assert code(answer) == (403, "conversations-full")
    detail = answer.json()["detail"]
    assert "64 MiB" in detail
    assert detail.index("Save") < detail.index("delete")
    assert continue_(alice.http, made) == (403, "conversations-full")
    assert list_ids(alice.http) == [made]
    # Nothing else is in the way.
    alice.create("/api/v1/tasks", title="t")
    send(bob.http)
    assert alice.http.delete(f"{CONVERSATIONS}/{made}").status_code == 204
    send(alice.http)


def test_no_text_of_a_message_is_in_the_log(service: Service, alice: Person) -> None:
    words = "an elephant in pyjamas"
    sent = send(alice.http, words)
    streamed = alice.http.post(
        ASSISTANT, json={"message": words}, headers={"Accept": "text/event-stream"}
    )
    assert streamed.status_code == 200
    assert code(alice.http.post(ASSISTANT, json={"message": words, "x": words}))[0] == 422
    read(alice.http.get(f"{CONVERSATIONS}/{sent['conversation_id']}"))

    assert [each for each in service.events if "elephant" in str(each)] == []
    assert "elephant" not in service.errors
