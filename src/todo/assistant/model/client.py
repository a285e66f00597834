"""Interface of the model server's client, independent of the HTTP library."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from todo.config.settings import Settings
    from todo.observability.metrics import Metrics

Mode = Literal["tools", "json_schema"]
"""Request mode: with tools that the model may call, or with a JSON Schema for its answer."""

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
"""Callback that receives the text of an answer piece by piece."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a model, with messages and tools in Chat Completions format.

    `schema` is the JSON Schema of the answer in the mode `json_schema`.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class ModelToolCall:
    """Tool call in a model's answer; its arguments are unvalidated text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """Complete answer; token counts that the server does not report are estimated."""

    text: str
    calls: tuple[ModelToolCall, ...]
    prompt_tokens: int
    output_tokens: int


@dataclass(slots=True)
class TokenCount:
    """Tokens used by a request so far; servers charge for unanswered requests too."""

    prompt: int = 0
    output: int = 0


class ModelError(Exception):
    """Failure to get a usable answer; the message is for the log and contains no user data.

    Attributes:
        reason: Kind of failure.
        retry_after_s: Delay in seconds before a retry may succeed; None if unknown.
        status: Status code of the server's response; None without a response.
        of_server: Whether the server caused the failure, not the caller or the model's output.
    """

    def __init__(
        self,
        reason: ModelFailure,
        message: str = "",
        *,
        retry_after_s: float | None = None,
        status: int | None = None,
        of_server: bool = True,
    ) -> None:
        super().__init__(message or reason)
        self.reason: ModelFailure = reason
        self.retry_after_s = retry_after_s
        self.status = status
        self.of_server = of_server


class ModelClient(Protocol):
    """Client of one model server, shared by all turns of the process."""

    async def get_mode(self, *, timeout_s: float | None = None) -> Mode:
        """Return the request mode; with `TODO_AI_MODE=auto`, probe the server once.

        Raises:
            ModelError: The probe got no answer; the next call repeats it.
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
        """Send a request to the model; canceling the call closes its connection.

        The timeout is at most TODO_AI_RUN_TIMEOUT_S. `used` receives the token usage even after a
        failure.

        Raises:
            ModelError: The model returned no usable answer.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_model_client(settings: "Settings", metrics: "Metrics") -> ModelClient | None:
    """Return a client of the configured model server, or None without a configured server.

    Raises:
        FatalError: The key file is missing, unreadable or invalid.
    """
    if settings.ai_url is None:
        return None
    # Imported only if a model server is configured: it costs 0.1 s and 10 MiB.
    from todo.assistant.model.http_client import HttpModelClient  # noqa: PLC0415

    client = HttpModelClient(settings, metrics.assistant)
    metrics.watch_breaker("model-server", client.breaker)
    return client
