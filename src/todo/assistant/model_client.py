"""Contract of a model server's client, whatever library it uses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Mode = Literal["tools", "json_schema"]
"""How a model is asked: with tools that it may call, or with a schema for its answer."""

ModelFailure = Literal[
    "not-configured",
    "unreachable",
    "refused",
    "rate-limited",
    "server-error",
    "timeout",
    "invalid",
    "interrupted",
    "breaker-open",
]

OnText = Callable[[str], Awaitable[None]]
"""Receives the text of an answer piece by piece."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is asked.

    Attributes:
        messages: The conversation, in the form of Chat Completions.
        tools: Tools that the model may call, in the same form.
        schema: JSON Schema of the answer, for the mode `json_schema`.
        max_tokens: Most tokens of the answer.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class ModelToolCall:
    """A call that a model wants; its arguments are the text that the model wrote, not checked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A complete answer; tokens are estimated where the server does not count them."""

    text: str
    calls: tuple[ModelToolCall, ...]
    prompt_tokens: int
    output_tokens: int
    finish_reason: str


class ModelError(Exception):
    """No usable answer; the message is for the log and holds no text of users."""

    def __init__(
        self, reason: ModelFailure, message: str = "", *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message or reason)
        self.reason: ModelFailure = reason
        self.retry_after_s = retry_after_s


class ModelClient(Protocol):
    """Client of one model server, shared by all turns of the process."""

    async def get_mode(self) -> Mode:
        """Return how the model is to be asked; with `TODO_AI_MODE=auto` a test shows it, once.

        Raises:
            ModelError: The test got no answer; the next call repeats it.
        """
        ...

    async def ask(
        self,
        request: ModelRequest,
        on_text: OnText | None = None,
        *,
        timeout_s: float | None = None,
    ) -> ModelAnswer:
        """Ask the model; a call that is cancelled leaves no connection behind.

        Args:
            request: What to ask.
            on_text: Receives the text while it arrives.
            timeout_s: Seconds that the caller has; never more than TODO_AI_RUN_TIMEOUT_S.

        Raises:
            ModelError: There is no usable answer.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
