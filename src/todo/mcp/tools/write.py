"""Writes of tools in one transaction, with run ID, idempotency key and errors by item."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from todo.api.idempotency import MAX_KEY_LENGTH, REPLAYED, Repeatable, is_key
from todo.api.responses import StoredResponse
from todo.api.write import execute_write
from todo.core.caller import Caller
from todo.core.errors import BatchFailedError, ProblemError
from todo.core.label import LABEL, LABEL_LENGTH
from todo.mcp.tool import Json, ToolCall, ToolError, ToolResult
from todo.mcp.tools.schema import flag, integer, text
from todo.writes.unit_of_work import UnitOfWork

ToolWrite = Callable[[UnitOfWork], Awaitable[Json]]
Render = Callable[[Json], str]

MAX_TASKS = 50
"""Maximum number of tasks in one call."""
KEY: Json = {"idempotency_key": text("Any unique text; a repeated call is not done twice.")}
REPEATABLE: Json = {"run_id": text("Groups calls for undo; returned by each write."), **KEY}
"""Arguments of every write."""
VERSION: Json = {"version": integer("Only if it still has this version.")}
RESULT: Json = {
    "run_id": text("Undo this run to revert the call."),
    "replayed": flag("Whether the call was done before."),
    "unchanged": flag("Whether there was nothing to change."),
}
"""Properties in the result of every write."""

_FINGERPRINT = b"mcp\n"
# Maximum size of a result; only long titles and tags exceed it.
_MAX_BYTES = 96 * 1024
_OPERATION = re.compile(r"operations\.([0-9]+)(?:\.task(?:\.(.*))?)?")
# Argument of the tools for each field of the API whose name differs.
FIELDS = {"due_date": "due", "due_at": "due", "due_zone": "due", "list_id": "list"}
_MESSAGES = {
    "not-found": "no task with this id",
    "version-mismatch": "was changed since: read it again, and send its new version",
    "read-only": "is in a list that you may only read",
}
_LIST_MESSAGES = {
    "not-found": "no list with this id",
    "version-mismatch": "was changed since: read it again, and send its new version",
    "read-only": "is a list of another user, and only its owner may rename it",
}


async def run_tool_write(
    call: ToolCall, tool: str, arguments: Json, write: ToolWrite, render: Render
) -> ToolResult:
    """Run a write in one transaction, and return its result after the commit.

    `write` makes the changes and returns the result; it may run more than once. The arguments of
    every write are removed from `arguments`.

    Raises:
        ToolError: The run ID or the key is invalid, or the token requires a key.
        ProblemError: As for `execute_write`.
        Exception: The call's check raised it, so nothing was written.
    """
    caller = replace(call.caller, run_id=_choose_run_id(call, arguments))
    key = arguments.pop("idempotency_key", call.idempotency_key)
    if key is None and caller.require_key:
        raise ToolError(
            "This token requires an idempotency_key on every write.",
            "repeat the call with an idempotency_key of your own, such as a UUID.",
            code="precondition-required",
        )
    if key is not None and not is_key(key):
        raise _refuse("idempotency_key", f"must be 1 to {MAX_KEY_LENGTH} visible ASCII characters")
    repeatable = key and Repeatable(key, render_fingerprint(tool, arguments, caller))

    async def handle(work: UnitOfWork) -> StoredResponse:
        structured = {**await write(work), "run_id": caller.run_id}
        if call.check is not None:
            await call.check(work)
        if not work.recorded:
            structured["unchanged"] = True
        body = orjson.dumps(structured)
        return StoredResponse(200, body if len(body) <= _MAX_BYTES else _shorten(structured))

    response = await execute_write(call.state, caller, handle, repeatable or None)
    structured: Json = orjson.loads(response.body or b"")
    if REPLAYED in response.headers:
        structured["replayed"] = True
    return ToolResult(structured, render(structured))


def _shorten(structured: Json) -> bytes:
    """Return a result that is too large with only the IDs and versions of its tasks."""
    kept = {
        name: [{key: each[key] for key in ("id", "version")} for each in structured[name]]
        for name in ("tasks", "next")
        if name in structured
    }
    return orjson.dumps({**structured, **kept})


def render_run(structured: Json, purpose: str = "To take it back") -> str:
    """Return the last line of a write's text, which explains how to undo it."""
    if "unchanged" in structured:
        return f"{render_replay(structured)}Nothing was changed, so there is nothing to undo."
    return f"{render_replay(structured)}{purpose}: undo with run_id {structured['run_id']}."


def render_replay(structured: Json) -> str:
    """Return the sentence for a repeated call, otherwise an empty text."""
    return "This call was done before; nothing was done again. " if "replayed" in structured else ""


def render_fingerprint(tool: str, arguments: Json, caller: Caller) -> bytes:
    """Return the hash that identifies a write by its tool, arguments and the token's list."""
    content = orjson.dumps([tool, caller.list_id, arguments], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(_FINGERPRINT + content).digest()


def require_versions(caller: Caller, things: Sequence[Json], kind: str = "tasks") -> None:
    """Raise a ToolError if the token requires versions and some changes have none."""
    missing = [index for index, thing in enumerate(things) if "version" not in thing]
    if caller.require_match and missing:
        raise ToolError(
            "This token requires the version of everything that is changed.",
            "read it with find_tasks or lists_and_tags, and repeat the call with the versions.",
            code="precondition-required",
            errors=[
                {"field": f"{kind}.{index}.version", "code": "missing", "message": "is required"}
                for index in missing
            ],
        )


def explain(index: int, error: ProblemError, kind: str = "tasks") -> list[Json]:
    """Return the errors of one item of a call."""
    if error.errors:
        return [
            {
                "field": f"{kind}.{index}.{FIELDS.get(str(each['field']), each['field'])}",
                "code": each["code"],
                "message": each["message"],
            }
            for each in error.errors
        ]
    messages = _MESSAGES if kind == "tasks" else _LIST_MESSAGES
    message = messages.get(error.code, error.detail)
    return [{"field": f"{kind}.{index}", "code": error.code, "message": message}]


def raise_for_items(errors: Sequence[Json]) -> None:
    """Raise a ToolError if there are errors; the caller must not commit then."""
    if errors:
        raise ToolError(
            "Nothing was changed: some items cannot be done.",
            "correct these items, and repeat the whole call.",
            code="items-failed",
            errors=errors,
        )


def translate_batch_error(error: BatchFailedError, tasks: int = MAX_TASKS) -> list[Json]:
    """Return the errors of a batch by item; operations after the first `tasks` are on lists."""
    errors: list[Json] = []
    for each in error.errors or ():
        found = _OPERATION.fullmatch(str(each["field"]))
        number, name = found.groups() if found else ("0", None)
        index = int(number)
        path = f"tasks.{index}" if index < tasks else f"lists.{index - tasks}"
        path += f".{FIELDS.get(name, name)}" if name else ""
        message: Any = (
            each["message"] if name else _MESSAGES.get(str(each["code"]), each["message"])
        )
        errors.append({"field": path, "code": each["code"], "message": message})
    return errors


def _choose_run_id(call: ToolCall, arguments: Json) -> str | None:
    given: str | None = arguments.pop("run_id", None)
    if given is not None and not LABEL.fullmatch(given):
        raise _refuse(
            "run_id", f"must be 1 to {LABEL_LENGTH} of the characters A-Z a-z 0-9 . _ : / @ + -"
        )
    return given or call.caller.run_id


def _refuse(field: str, message: str) -> ToolError:
    return ToolError(
        "The arguments are invalid; nothing was done.",
        f"repeat the call with another {field}, or without it.",
        errors=[{"field": field, "code": "invalid", "message": message}],
    )
