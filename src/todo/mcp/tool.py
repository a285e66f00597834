"""Tool definitions: what the protocol layer lists and calls, and what a call returns.

The protocol layer knows only this module. The tools know only this module and the services.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from todo.core.caller import Caller
from todo.core.errors import ProblemError, RateLimitedError
from todo.core.problem_document import MAX_ERRORS
from todo.mcp.quoting import escape, render_json

Json = dict[str, Any]

# A model reads the errors of a call: the first ones explain the others.
_SHOWN_ERRORS = min(MAX_ERRORS, 10)
_NEXT_STEPS = {
    "insufficient-scope": "use another tool, or ask the user for a token with that scope.",
    "not-found": "find the right id with find_tasks or lists_and_tags.",
    "read-only": "use a list that you may write to; lists_and_tags shows your access.",
    "version-mismatch": "read it again with find_tasks, and repeat with its new version.",
    "precondition-required": "repeat the call with what is missing.",
    "validation-failed": "correct the arguments, and repeat the call.",
    "batch-failed": "correct these items, and repeat the whole call: nothing was changed.",
    "idempotency-key-reused": "repeat with a new idempotency_key.",
    "rate-limited": "wait, then repeat the call.",
    "plan-outdated": "call delete_tasks with the tasks again; that makes a new plan.",
    "plan-expired": "call delete_tasks with the tasks again; that makes a new plan.",
    "plan-applied": "nothing: what the plan described is done.",
    "plan-too-large": "delete fewer tasks at once.",
    "too-many-plans": "wait until one of the plans expires.",
}
# Where the details have the words of the HTTP API.
_MESSAGES = {
    "version-mismatch": "It was changed since.",
    "validation-failed": "The arguments are invalid; nothing was done.",
    "batch-failed": "Nothing was changed: some items cannot be done.",
    "idempotency-key-reused": "This idempotency_key was used with another call.",
    "too-many-plans": "There are too many plans that are neither confirmed nor expired.",
    "plan-outdated": "The plan is outdated, so nothing was deleted.",
}
_LATER = "repeat the call later, with the same idempotency_key."


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        state: The application's state (`app.state`).
        caller: Whom the token identifies, with agent, model and run id. A tool may replace the run
            id by its argument `run_id`.
        now: When the call arrived.
        idempotency_key: Of the request's header; the argument `idempotency_key` has precedence.
    """

    state: Any
    caller: Caller
    now: datetime
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call returns.

    Attributes:
        structured: The result as JSON.
        text: The same for a model, shorter.
        is_error: Whether the call failed.
        meta: `_meta` of the result; None for none.
    """

    structured: Json
    text: str
    is_error: bool = False
    meta: Json | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: Name by which it is called.
        title: Name for people.
        description: For models.
        input_schema: JSON Schema of the arguments; `run` checks them.
        output_schema: JSON Schema of `ToolResult.structured`, None for none. It is about results
            that are not errors.
        scope: What a token needs to see and call it.
        run: Does it; raises a `ProblemError` or a `ToolError`, which `render_failure` renders.
        read_only: Whether it changes nothing.
        destructive: Whether it may remove or overwrite something.
        idempotent: Whether a repeated call has no further effect.
        open_world: Whether it deals with more than the user's own data.
    """

    name: str
    title: str
    description: str
    input_schema: Json
    output_schema: Json | None
    scope: str
    run: Callable[[ToolCall, Json], Awaitable[ToolResult]]
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


class ToolError(Exception):
    """A call that cannot be carried out as it is."""

    def __init__(
        self,
        message: str,
        next_step: str,
        *,
        code: str = "invalid-arguments",
        errors: Sequence[Json] = (),
    ) -> None:
        """Name cause and remedy.

        Args:
            message: The cause.
            next_step: What the caller can do, as in "repeat the call with a list".
            code: For programs.
            errors: The arguments that are wrong, each with `field` and `message`.
        """
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code
        self.errors = list(errors)


def render_failure(error: ProblemError | ToolError) -> ToolResult:
    """Return the result of a call that failed: cause, details, next step."""
    if isinstance(error, ToolError):
        message, code, step = error.message, error.code, error.next_step
        found = error.errors
    else:
        code = error.code
        message, step = _MESSAGES.get(code, error.detail), _find_next_step(error)
        if code == RateLimitedError.code:
            # A result has no headers to refer to.
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


def _find_next_step(error: ProblemError) -> str:
    if error.code == RateLimitedError.code and "Retry-After" in error.headers:
        wait_s = error.headers["Retry-After"]
        return f"wait {wait_s} seconds, then repeat the call, with fewer items than the limit."
    is_ours = error.status >= 500  # noqa: PLR2004 - a class of status codes
    return _NEXT_STEPS.get(error.code) or (
        _LATER if is_ours else "correct the arguments, and repeat the call."
    )


def _render_error(error: Json) -> str:
    line = escape(f"- {error['field']}: {error['message']}")
    choices = " or ".join(map(render_json, error.get("choices", ())))
    return f"{line}. Choices: {choices}" if choices else line
