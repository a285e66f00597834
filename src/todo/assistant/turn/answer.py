"""Answers of the assistant: the text and the effects of one turn, with or without a model."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

Json = dict[str, Any]

AGENT = "assistant"
"""The agent of every change of the assistant in the journal."""


@dataclass(frozen=True, slots=True)
class EarlierMessage:
    """An earlier message of the conversation.

    Attributes:
        role: Author of the message.
        content: Text of the message.
        run_id: Run of an answer that changed something; otherwise None.
        has_failed: Whether it is an answer that reports only that no model answered.
    """

    role: Literal["user", "assistant"]
    content: str
    run_id: str | None = None
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of a tool, and its result."""

    tool_name: str
    arguments: Json
    result: Json

    def to_dict(self) -> Json:
        """Return it as callers of the API get it."""
        return {"tool_name": self.tool_name, "arguments": self.arguments, "result": self.result}


@dataclass(frozen=True, slots=True)
class TurnAnswer:
    """Result of one turn.

    Attributes:
        response: The text for the person. It contains texts of users, so it is not HTML.
        tool_calls: Tool calls, in order.
        run_id: The run of all changes.
        changed: Whether the run has changes that can be undone.
        plan: Plan that is pending: id, summary, changes, expires_at. None for no plan.
        degraded: None, or why no model answered: the reason of a `ModelError`, "over-budget" or
            "deadline".
        prompt_tokens: Number of tokens that the model read.
        output_tokens: Number of tokens that the model wrote.
    """

    response: str
    tool_calls: tuple[ToolUse, ...]
    run_id: str
    changed: bool
    plan: Json | None
    degraded: str | None
    prompt_tokens: int
    output_tokens: int


class Events(Protocol):
    """Receives the parts of an answer while they are made."""

    async def text(self, piece: str) -> None:
        """Receive the next piece of the response; all pieces together are the response."""

    async def tool(self, use: ToolUse) -> None:
        """Receive a tool call that is finished."""
