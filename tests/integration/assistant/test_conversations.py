"""Messages to the assistant over HTTP, and the conversations that they make."""

import json
from typing import Any

import httpx

from tests.integration.users import Person, code, read

ASSISTANT = "/api/v1/assistant"
CONVERSATIONS = "/api/v1/conversations"
STREAM = {"Accept": "text/event-stream"}


def send(client: httpx.Client, message: str = "help", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return read(client.post(ASSISTANT, json={"message": message, **more}))


def list_ids(client: httpx.Client) -> list[str]:
    return [each["id"] for each in read(client.get(CONVERSATIONS))["items"]]


def read_events(text: str) -> list[tuple[str, Any]]:
    parts = [part.split("\n") for part in text.split("\n\n") if part and not part.startswith(":")]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in parts
    ]


def test_a_conversation_keeps_questions_and_answers(alice: Person) -> None:
    first = send(alice.http, "  help\nme ")
    second = send(alice.http, "help again", conversation_id=first["conversation_id"])

    assert second["conversation_id"] == first["conversation_id"]
    (item,) = read(alice.http.get(CONVERSATIONS))["items"]
    assert item["id"] == first["conversation_id"]
    assert (item["title"], item["plan_id"], item["list_id"]) == ("help me", None, None)
    found = read(alice.http.get(f"{CONVERSATIONS}/{item['id']}"))
    assert {name: found[name] for name in item} == item
    shown = [(each["role"], each["status"], each["content"]) for each in found["messages"]]
    assert shown == [
        ("assistant", "done", second["response"]),
        ("user", "done", "help again"),
        ("assistant", "done", first["response"]),
        ("user", "done", "help\nme"),
    ]
    answer = found["messages"][0]
    same = ("run_id", "undo", "degraded", "degraded_reason", "usage", "tool_calls")
    assert {name: answer[name] for name in same} == {name: second[name] for name in same}
    assert answer["id"] == second["message_id"]


def test_pages_lead_through_conversations_and_messages(alice: Person) -> None:
    ids = [send(alice.http)["conversation_id"] for _ in range(3)]
    for _ in range(2):
        send(alice.http, conversation_id=ids[0])

    for path, key, count in (
        (CONVERSATIONS, "items", 3),
        (f"{CONVERSATIONS}/{ids[0]}", "messages", 6),
    ):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = read(
                alice.http.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            )
            found += [each["id"] for each in page[key]]
            cursor = page["next_cursor"]
        assert len(found) == count
        assert found == sorted(found, reverse=True)
    assert code(alice.http.get(CONVERSATIONS, params={"cursor": "x"}))[0] == 422


def test_others_see_no_conversation(alice: Person, bob: Person) -> None:
    made = send(alice.http)["conversation_id"]
    path = f"{CONVERSATIONS}/{made}"

    assert list_ids(bob.http) == []
    assert code(bob.http.get(path)) == (404, "not-found")
    assert code(bob.http.delete(path)) == (404, "not-found")
    body = {"message": "help", "conversation_id": made}
    assert code(bob.http.post(ASSISTANT, json=body)) == (404, "not-found")
    assert list_ids(bob.http) == []


def test_a_deleted_conversation_is_gone(alice: Person) -> None:
    made = send(alice.http)["conversation_id"]
    path = f"{CONVERSATIONS}/{made}"

    assert alice.http.delete(path).status_code == 204
    assert code(alice.http.get(path)) == (404, "not-found")
    assert code(alice.http.delete(path)) == (404, "not-found")
    assert list_ids(alice.http) == []


def test_the_answer_comes_as_events(alice: Person) -> None:
    response = alice.http.post(ASSISTANT, json={"message": "help"}, headers=STREAM)

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    events = read_events(response.text)
    names = [name for name, _ in events]
    assert (names[0], names[-1]) == ("start", "done")
    done = events[-1][1]
    assert events[0][1] == {name: done[name] for name in ("conversation_id", "run_id")}
    assert "".join(each["delta"] for name, each in events if name == "text") == done["response"]
    (message, _) = read(alice.http.get(f"{CONVERSATIONS}/{done['conversation_id']}"))["messages"]
    assert message["content"] == done["response"]
