"""Stored conversations and messages, and their JSON representation."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson

from todo.assistant.turn.answer import EarlierMessage
from todo.db.tables import MESSAGE_ROW_BYTES

HISTORY_CHARACTERS = 8000
"""Maximum number of characters of earlier messages in the assistant's context."""
_STALE = timedelta(seconds=60)
"""Grace period after a turn's deadline; a turn that is still running then has crashed."""

UNKNOWN = 'This answer was interrupted. If it had changed something, "undo" takes it back.'

Status = Literal["running", "done", "interrupted"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, without its messages."""

    id: str
    list_id: str | None
    title: str
    plan_id: str | None
    created_at: str
    updated_at: str

    def to_dict(self) -> dict[str, Any]:
        """Return the conversation as a JSON object."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message; of the fields after `content`, a user's message only sets `created_at`.

    Attributes:
        id: UUIDv7, so IDs sort by time.
        status: State of the message; an answer is "running" until its turn ends.
        tool_calls: Tool calls as a JSON array.
        run_id: Run that groups the turn's changes.
        changed: Whether the run changed anything.
        degraded_reason: As for `TurnAnswer.degraded`; also "interrupted".
        created_at: Start of the turn.
    """

    id: str
    role: Literal["user", "assistant"]
    status: Status
    content: str
    tool_calls: str = "[]"
    run_id: str | None = None
    changed: bool = False
    plan_id: str | None = None
    degraded_reason: str | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    created_at: str = ""

    @property
    def size(self) -> int:
        """Number of bytes that count against the account's storage limit."""
        return MESSAGE_ROW_BYTES + len(self.content.encode()) + len(self.tool_calls.encode())

    def to_dict(self) -> dict[str, Any]:
        """Return the message as a JSON object."""
        return {
            "id": self.id,
            "role": self.role,
            "status": self.status,
            "content": self.content,
            "tool_calls": orjson.Fragment(self.tool_calls),
            "run_id": self.run_id,
            "undo": {"run_id": self.run_id} if self.changed else None,
            "plan_id": self.plan_id,
            "degraded": self.degraded_reason is not None,
            "degraded_reason": self.degraded_reason,
            "usage": {"prompt_tokens": self.prompt_tokens, "output_tokens": self.output_tokens},
            "created_at": self.created_at,
        }


def limit_history(newest_first: Iterable[EarlierMessage]) -> tuple[EarlierMessage, ...]:
    """Return the newest messages, oldest first, cut to `HISTORY_CHARACTERS` in total."""
    kept: list[EarlierMessage] = []
    left = HISTORY_CHARACTERS
    for turn in newest_first:
        if left <= 0:
            break
        kept.append(replace(turn, content=turn.content[:left]))
        left -= len(turn.content)
    return tuple(reversed(kept))


def mark_interrupted(message: Message, now: datetime, timeout_s: float) -> Message:
    """Return the message, with status "interrupted" if its turn must have crashed."""
    began = datetime.fromisoformat(message.created_at)
    if message.status != "running" or is_running(message.status, began, now, timeout_s):
        return message
    return replace(message, status="interrupted", content=UNKNOWN, changed=True)


def is_running(status: str, began: datetime, now: datetime, timeout_s: float) -> bool:
    """Return whether a turn is running and within its deadline plus a grace period."""
    return status == "running" and now - began < timedelta(seconds=timeout_s) + _STALE


def render_answer(
    conversation_id: str,
    message: Message,
    calls: list[dict[str, Any]],
    plan: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return a turn's answer as a JSON object."""
    shown = message.to_dict()
    return {
        "conversation_id": conversation_id,
        "message_id": message.id,
        "response": message.content,
        "tool_calls": calls,
        "run_id": message.run_id,
        "undo": shown["undo"],
        "plan": plan,
        "degraded": shown["degraded"],
        "degraded_reason": message.degraded_reason,
        "usage": shown["usage"],
    }
