"""Interface between the protocol layer and the tools: definitions, calls and results.

They share only this module, so the protocol layer can serve other tools as well.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from todo.core.caller import Caller
from todo.core.errors import ProblemError, RateLimitedError
from todo.core.ids import new_uuid7
from todo.core.problem_document import MAX_ERRORS
from todo.mcp.quoting import escape, render_json

if TYPE_CHECKING:
    from todo.app_state import AppState
    from todo.writes.unit_of_work import UnitOfWork

Json = dict[str, Any]

# A model reads all errors of a result; the first ones explain the others.
_SHOWN_ERRORS = min(MAX_ERRORS, 10)
_LATER = "repeat the call later, with the same idempotency_key."


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Call of a tool.

    Attributes:
        caller: Caller with agent, model and run ID. The argument `run_id` of a tool may replace
            the run ID.
        now: Arrival time of the call.
        idempotency_key: Key in the request's header; the argument `idempotency_key` has
            precedence.
        check: Hook that inspects the changes of a write before the commit. Its exceptions prevent
            the commit.
    """

    state: "AppState"
    caller: Caller
    now: datetime
    idempotency_key: str | None = None
    check: "Callable[[UnitOfWork], Awaitable[None]] | None" = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Result of a tool call.

    Attributes:
        structured: Result as JSON.
        text: Shorter text of the result, for models.
        meta: Metadata (`_meta`) of the result, or None.
    """

    structured: Json
    text: str
    is_error: bool = False
    meta: Json | None = None


ToolHandler = Callable[[ToolCall, Json], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """Definition of a tool.

    Attributes:
        title: Display name.
        description: Description for models.
        input_schema: JSON Schema of the arguments, which the handler validates.
        output_schema: JSON Schema of `ToolResult.structured` unless the call failed, or None.
        scope: Scope that a token needs to list and call the tool.
        read_only: Whether calls never change data.
        destructive: Whether calls may remove or overwrite data.
        idempotent: Whether a repeated call has no further effect.
        open_world: Whether calls access more than the user's own data.
    """

    name: str
    title: str
    description: str
    input_schema: Json
    output_schema: Json | None
    scope: str
    handler: ToolHandler
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False

    async def run(self, call: ToolCall, arguments: Json) -> ToolResult:
        """Execute a call; a write without a run ID gets a new one.

        Raises:
            ForbiddenError: The token lacks the scope.
            ProblemError: A service rejects the call.
            ToolError: The arguments are invalid, or the call fails for another reason.
        """
        call.caller.require(self.scope)
        if not self.read_only and call.caller.run_id is None:
            call = replace(call, caller=replace(call.caller, run_id=str(new_uuid7())))
        return await self.handler(call, arguments)


class ToolError(Exception):
    """Failure of a tool call.

    Attributes:
        next_step: Remedy for the model, such as "repeat the call with a list".
        code: Machine-readable code.
        errors: Errors by argument, each with `field` and `message`.
    """

    def __init__(
        self,
        message: str,
        next_step: str,
        *,
        code: str = "invalid-arguments",
        errors: Sequence[Json] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code
        self.errors = list(errors)


@dataclass(frozen=True, slots=True)
class FailureTexts:
    """Causes and remedies for models, by error code, which replace texts of the HTTP API."""

    messages: Mapping[str, str] = field(default_factory=dict)
    next_steps: Mapping[str, str] = field(default_factory=dict)


def render_failure(
    error: ProblemError | ToolError, texts: FailureTexts | None = None
) -> ToolResult:
    """Return the result of a failed call, with cause, details and next step."""
    texts = texts or FailureTexts()
    if isinstance(error, ToolError):
        message, code, step = error.message, error.code, error.next_step
        found = error.errors
    else:
        code = error.code
        message, step = texts.messages.get(code, error.detail), _get_next_step(error, texts)
        if code == RateLimitedError.code:
            # The rest refers to headers, which a tool result does not have.
            message = f"{message.partition(';')[0]}."
        found = [dict(each) for each in error.errors or ()]
    shown = [
        {k: v for k, v in each.items() if k != "in" and v not in ("", [])}
        for each in found[:_SHOWN_ERRORS]
    ]
    structured: Json = {"error": {"code": code, "message": message, "next_step": step}}
    if shown:
        structured["error"]["errors"] = shown
    omitted = len(found) - len(shown)
    lines = [f"Error: {escape(message)}"]
    lines += [_render_error(each) for each in shown]
    if omitted > 0:
        structured["error"]["errors_omitted"] = omitted
        lines.append(f"- {omitted} more are not shown.")
    lines.append(f"Try next: {step}")
    return ToolResult(structured, "\n".join(lines), is_error=True)


def _get_next_step(error: ProblemError, texts: FailureTexts) -> str:
    if error.code == RateLimitedError.code and "Retry-After" in error.headers:
        wait_s = error.headers["Retry-After"]
        return f"wait {wait_s} seconds, then repeat the call, with fewer items than the limit."
    is_ours = error.status >= 500  # noqa: PLR2004 - a class of status codes
    return texts.next_steps.get(error.code) or (
        _LATER if is_ours else "correct the arguments, and repeat the call."
    )


def _render_error(error: Json) -> str:
    line = escape(f"- {error['field']}: {error['message']}")
    choices = " or ".join(map(render_json, error.get("choices", ())))
    return f"{line}. Choices: {choices}" if choices else line
