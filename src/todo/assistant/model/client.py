"""Interface of a client for a model server, independent of its library."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from todo.config.settings import Settings
    from todo.observability.metrics import Metrics

Mode = Literal["tools", "json_schema"]
"""Mode of a request: with tools that the model may call, or with a schema for its answer."""

ModelFailure = Literal[
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
    """A request to a model.

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


@dataclass(slots=True)
class TokenCount:
    """Tokens that a request has used so far. Servers charge for unanswered requests as well.

    Attributes:
        prompt: Tokens that the model has read.
        output: Tokens that it has written.
    """

    prompt: int = 0
    output: int = 0


class ModelError(Exception):
    """No usable answer; the message is for the log and holds no text of users or servers."""

    def __init__(
        self,
        reason: ModelFailure,
        message: str = "",
        *,
        retry_after_s: float | None = None,
        status: int | None = None,
        of_server: bool = True,
    ) -> None:
        """Create an error.

        Args:
            reason: Kind of failure.
            message: Description for an operator.
            retry_after_s: Seconds after which another attempt may succeed, if known.
            status: Status code of the server's response, if there was one.
            of_server: Whether the server caused it, and not the caller or the output of the model.
        """
        super().__init__(message or reason)
        self.reason: ModelFailure = reason
        self.retry_after_s = retry_after_s
        self.status = status
        self.of_server = of_server


class ModelClient(Protocol):
    """Client of one model server, shared by all turns of the process."""

    async def get_mode(self, *, timeout_s: float | None = None) -> Mode:
        """Return how the model is to be asked; with `TODO_AI_MODE=auto` a test shows it, once.

        Args:
            timeout_s: Seconds that the caller has.

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
        used: TokenCount | None = None,
    ) -> ModelAnswer:
        """Send a request to the model; cancelling the call closes its connection.

        Args:
            request: Request to send.
            on_text: Receives the text as it arrives.
            timeout_s: Timeout of the caller in seconds; TODO_AI_RUN_TIMEOUT_S is the maximum.
            used: Receives the token usage, even after a failure.

        Raises:
            ModelError: The model did not return a usable answer.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def open_model_client(settings: "Settings", metrics: "Metrics") -> ModelClient | None:
    """Return a client of the model server that the settings name, if any.

    Raises:
        FatalError: The file with its key is missing, unreadable or not a key.
    """
    if settings.ai_url is None:
        return None
    # An import of 0.1 s and 10 MiB, for those who have a model server.
    from todo.assistant.model.http_client import HttpModelClient  # noqa: PLC0415

    client = HttpModelClient(settings, metrics.assistant)
    metrics.watch_breaker("model-server", client.breaker)
    return client
