"""Conversations in an export: all of them, and only what a conversation can have."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.service import Service, call_admin
from tests.integration.stored import run_sql

ASSISTANT = "/api/v1/assistant"
CONVERSATIONS = "/api/v1/conversations"


def talk(client: httpx.Client, count: int = 1) -> str:
    """Make a conversation with so many questions; return its id."""
    body: dict[str, Any] = {"message": "help"}
    for _ in range(count):
        answer = client.post(ASSISTANT, json=body).json()
        body["conversation_id"] = answer["conversation_id"]
    return str(body["conversation_id"])


def export(environment: dict[str, str], user: str) -> str:
    result = call_admin(environment, "export", "--owner", user)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def read_lines(text: str, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in text.splitlines()]
    return [line[kind] for line in lines if kind in line]


def test_conversations_are_exported_and_imported_as_they_are(
    service: Service, owner: httpx.Client, user: str, empty: dict[str, str], tmp_path: Path
) -> None:
    # More messages than are read at once.
    first, second = talk(owner, 40), talk(owner)
    shown = owner.get(f"{CONVERSATIONS}/{first}", params={"limit": 100}).json()["messages"]
    file = tmp_path / "export"
    file.write_text(export(service.environment, user))

    taken = call_admin(empty, "import", str(file))

    assert taken.stdout.startswith("imported: conversation 2, message 82;"), taken.stdout
    assert export(empty, user) == file.read_text()
    assert {each["id"] for each in read_lines(file.read_text(), "conversation")} == {first, second}
    messages = [
        each for each in read_lines(file.read_text(), "message") if each["conversation_id"] == first
    ]
    assert [each["content"] for each in messages] == [each["content"] for each in shown[::-1]]


def test_an_imported_conversation_is_shown_and_counted_as_before(
    service: Service, owner: httpx.Client, user: str, tmp_path: Path
) -> None:
    made = talk(owner, 2)
    path = f"{CONVERSATIONS}/{made}"
    before = owner.get(path).json()
    size = run_sql(service, "SELECT size FROM conversation WHERE id = ?", made)
    file = tmp_path / "export"
    file.write_text(export(service.environment, user))
    assert owner.delete(path).status_code == 204

    taken = call_admin(service.environment, "import", str(file))

    assert taken.stdout.startswith("imported: conversation 1, message 4;"), taken.stdout
    assert owner.get(path).json() == before
    assert run_sql(service, "SELECT size FROM conversation WHERE id = ?", made) == size


def test_a_conversation_that_was_continued_is_the_same(
    service: Service, owner: httpx.Client, user: str, tmp_path: Path
) -> None:
    made = talk(owner)
    file = tmp_path / "export"
    file.write_text(export(service.environment, user))
    owner.post(ASSISTANT, json={"message": "help", "conversation_id": made})

    taken = call_admin(service.environment, "import", str(file))

    assert taken.stdout == "imported: nothing; already present: 4; skipped: 0\n"
    assert len(owner.get(f"{CONVERSATIONS}/{made}").json()["messages"]) == 4


def test_an_answer_that_is_running_is_exported_as_interrupted(
    service: Service, owner: httpx.Client, user: str
) -> None:
    made = talk(owner)
    change = (
        "UPDATE message SET status = 'running' WHERE role = 'assistant' AND conversation_id = ?"
    )
    run_sql(service, change, made)

    states = [each["status"] for each in read_lines(export(service.environment, user), "message")]

    assert states == ["done", "interrupted"]


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("message", {"role": "system"}, "role: "),
        ("message", {"status": "running"}, "status: "),
        ("message", {"content": "x" * 10_001}, "content: "),
        ("message", {"content": "a\0"}, "content: "),
        ("message", {"tool_calls": [{"x": "y" * 140_000}]}, "tool_calls: "),
        ("message", {"conversation_id": str(uuid.UUID(int=1))}, "conversation_id: "),
        ("message", {"plan_id": None}, "plan_id: "),
        ("conversation", {"title": "x" * 101}, "title: "),
    ],
)
def test_a_line_that_no_conversation_can_have_is_named(
    service: Service,
    owner: httpx.Client,
    user: str,
    empty: dict[str, str],
    tmp_path: Path,
    kind: str,
    changes: dict[str, Any],
    reason: str,
) -> None:
    talk(owner)
    lines = export(service.environment, user).splitlines()
    number = max(n for n, line in enumerate(lines) if line.startswith(f'{{"{kind}"'))
    record = json.loads(lines[number])
    record[kind] |= changes
    lines[number] = json.dumps(record)
    file = tmp_path / "export"
    file.write_text("\n".join(lines) + "\n")

    result = call_admin(empty, "import", str(file))

    assert result.returncode == 1
    assert f"line {number + 1}: skipped: {reason}" in result.stdout
    # Without its conversation no message is taken.
    assert result.stdout.count("skipped: ") == (4 if kind == "conversation" else 2)


def test_nobody_gets_messages_into_the_conversation_of_another(
    service: Service, owner: httpx.Client, user: str, tmp_path: Path
) -> None:
    made = talk(owner)
    exported = export(service.environment, user)
    fresh = exported
    for each in read_lines(exported, "message"):
        fresh = fresh.replace(each["id"], str(uuid.uuid4()))
    thief = f"thief-{uuid.uuid4()}"
    file = tmp_path / "export"
    file.write_text(fresh.replace(user, thief))

    result = call_admin(service.environment, "import", str(file))

    assert "another entity with this ID already exists" in result.stdout
    assert result.stdout.count("conversation_id: the conversation is not imported") == 2
    assert export(service.environment, user) == exported
    assert len(owner.get(f"{CONVERSATIONS}/{made}").json()["messages"]) == 2


def test_a_message_that_comes_twice_is_taken_once(
    service: Service, owner: httpx.Client, user: str, empty: dict[str, str], tmp_path: Path
) -> None:
    talk(owner)
    lines = export(service.environment, user).splitlines()
    file = tmp_path / "export"
    file.write_text("\n".join([*lines, lines[-1]]) + "\n")

    result = call_admin(empty, "import", str(file))

    assert (
        f"line {len(lines) + 1}: skipped: duplicates the ID on line {len(lines)}" in result.stdout
    )
    assert export(empty, user) == "\n".join(lines) + "\n"
