"""Answers of the assistant: text and effects of one turn, with or without a model."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

Json = dict[str, Any]

AGENT = "assistant"
"""Name of the agent in the journal for all changes by the assistant."""


@dataclass(frozen=True, slots=True)
class EarlierMessage:
    """An earlier message of the conversation.

    Attributes:
        run_id: Run of an answer that made changes; otherwise None.
        has_failed: Whether it is an answer that only reports that no model answered.
    """

    role: Literal["user", "assistant"]
    content: str
    run_id: str | None = None
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call with its result."""

    tool_name: str
    arguments: Json
    result: Json

    def to_dict(self) -> Json:
        """Return the tool call as a JSON object for API clients."""
        return {"tool_name": self.tool_name, "arguments": self.arguments, "result": self.result}


@dataclass(frozen=True, slots=True)
class TurnAnswer:
    """Result of one turn.

    Attributes:
        response: Text for the user. It may quote user data, so it is not HTML.
        run_id: Run that groups all changes.
        changed: Whether the run has changes that can be undone.
        plan: Pending plan with id, summary, changes and expires_at; None without a plan.
        degraded: Reason why no model answered: that of a `ModelError`, "not-configured",
            "over-budget" or "deadline"; otherwise None.
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
    """Sink for the parts of an answer as they are produced."""

    async def text(self, piece: str) -> None:
        """Receive the next piece of the response, which is the concatenation of all pieces."""

    async def tool(self, use: ToolUse) -> None:
        """Receive a completed tool call."""
