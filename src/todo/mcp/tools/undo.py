"""undo: reverts a change, the changes of a call, or a whole run."""

from dataclasses import replace
from uuid import UUID

import orjson

from todo.core.domain import Snapshot, get_name
from todo.core.errors import NotFoundError, UndoConflictError, VersionMismatchError
from todo.core.ids import new_uuid7
from todo.db.documents import parse_snapshot
from todo.journal.repository import MAX_SEQ, find_view
from todo.journal.undo import Undo
from todo.journal.undo_scope import Run, find_changed_views
from todo.mcp.quoting import cut, escape, quote
from todo.mcp.tool import Json, ToolCall, ToolError, ToolResult
from todo.mcp.tools.account_time import render_heading
from todo.mcp.tools.definition import CLOCK, define_tool
from todo.mcp.tools.items import open_items, raise_for_arguments
from todo.mcp.tools.schema import array, flag, integer, text
from todo.mcp.tools.write import KEY, RESULT, render_run, run_tool_write
from todo.writes.unit_of_work import UnitOfWork

NAME = "undo"
_NAME_LENGTH = 255
_MAX_SHOWN = 50
_MESSAGE_LENGTH = 400

_ARGUMENTS: Json = {
    "run_id": text("Everything that this run changed."),
    "seq": integer("Or this change, from changes_since.", 1, MAX_SEQ),
    "whole_call": flag("With seq: everything that the same call changed."),
    "list": text("Only in this list of another user: name or id."),
    "version": integer("Only if this is still the latest seq.", 0, MAX_SEQ),
    **KEY,
}
_CHANGE: Json = {
    "type": "object",
    "description": "Result for one entity.",
    "properties": {
        "kind": text("task, list or share."),
        "id": text("Its id."),
        "name": text("Its title or name."),
        "gone": flag("Whether it was removed by the undo."),
    },
}
_RESULT: Json = {
    **CLOCK,
    "undone": array("The first of them.", _CHANGE),
    "undone_count": integer("Number of undone changes."),
    "not_undone": {
        "type": "array",
        "description": "The first changes that cannot be undone.",
        "items": {
            "type": "object",
            "description": "A change that stays.",
            "properties": {
                "seq": integer("Its number."),
                "message": text("What stays, and the reason."),
            },
        },
    },
    "not_undone_count": integer("Number of changes that cannot be undone."),
    **RESULT,
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    # The argument names the run to undo; the undo is its own run.
    run_id = arguments.pop("run_id", None)
    seq = arguments.get("seq")
    if (run_id is None) == (seq is None):
        message = "undo needs either run_id or seq."
        raise ToolError(message, "repeat the call with one of them, as changes_since shows it.")
    version = arguments.get("version")
    if call.caller.require_match and version is None:
        raise ToolError(
            "This token requires the version of what is changed.",
            "repeat the call with version: the next_since of changes_since.",
            code="precondition-required",
        )

    items = await open_items(call)
    list_id = items.resolve_list(arguments["list"], "list") if "list" in arguments else None

    async def write(work: UnitOfWork) -> Json:
        raise_for_arguments(items)
        view = await find_view(
            work.session, work.caller, None if list_id is None else UUID(list_id)
        )
        if version is not None:
            account, _ = await work.lock(view.owner)
            account.require_version(frozenset({version}))
        if run_id is None:
            whole = arguments.get("whole_call", False)
            done = [await Undo(work, view).undo_change(seq or 0, whole_request=whole)]
        else:
            run = Run(run_id, work.caller.user)
            is_whole = list_id is None and work.caller.list_id is None
            views = await find_changed_views(work.session, run) if is_whole else []
            done = [await Undo(work, each).undo_run(run) for each in views or [view]]
        return {**items.clock.render(), **show_undone(list(map(orjson.loads, done)), work)}

    identified = arguments if run_id is None else {**arguments, "undone_run": run_id}
    # If the undo were part of the run that it undoes, it could not be undone separately.
    own = replace(call, caller=replace(call.caller, run_id=str(new_uuid7())))
    try:
        return await run_tool_write(own, NAME, identified, write, render_undone)
    except (NotFoundError, VersionMismatchError, UndoConflictError) as error:
        raise _explain(error) from None


def _explain(error: NotFoundError | VersionMismatchError | UndoConflictError) -> ToolError:
    """Return an error in the terms of the tool."""
    errors = [dict(each) for each in error.errors or ()]
    if isinstance(error, NotFoundError):
        message = "There is no such change or run that you may see."
        step = "find seq and run_id with changes_since."
    elif isinstance(error, VersionMismatchError):
        message = "There are changes after this version; nothing was undone."
        step = "read them with changes_since, and repeat with its next_since as version."
    elif any(each["code"] == "ambiguous" for each in errors):
        message, errors = "Several tokens have a run with this ID; nothing was undone.", []
        step = "find the changes with changes_since, and undo them by seq, the latest first."
    else:
        message = "Nothing was undone, because of what happened since."
        step = (
            "undo the newer changes first, by seq, or change the tasks back with update_tasks;"
            " what is already undone needs nothing."
        )
    return ToolError(message, step, code=error.code, errors=errors)


def show_undone(done: list[Json], work: UnitOfWork) -> Json:
    """Return the result of undos: the first changes, and the number of all changes."""
    items = [item for each in done for item in each["items"]]
    before = {
        (entry.kind, entry.entity_id): parse_snapshot(entry.kind, entry.before)
        for _owner, entry in work.recorded
    }
    undone = []
    for item in items[:_MAX_SHOWN]:
        known: Snapshot | None = item["after"] or before.get((item["kind"], item["id"]))
        name = item["id"] if known is None else get_name(known)
        shown = {"kind": item["kind"], "id": item["id"], "name": cut(name, _NAME_LENGTH)}
        if item["after"] is None:
            shown["gone"] = True
        undone.append(shown)
    staying = [entry for each in done for entry in each["not_undone"]]
    return {
        "undone": undone,
        "undone_count": len(items),
        "not_undone": [
            {"seq": entry["seq"], "message": cut(entry["message"], _MESSAGE_LENGTH)}
            for entry in staying[:_MAX_SHOWN]
        ],
        "not_undone_count": len(staying),
    }


def render_undone(structured: Json) -> str:
    """Return the text of a result."""
    count = structured["undone_count"]
    lines = [render_heading(structured), f"Undone: {count} change{'s' * (count != 1)}."]
    for each in structured["undone"]:
        state = "removed" if "gone" in each else "restored"
        name = quote(each["name"], _NAME_LENGTH)
        lines.append(f"- {state} {each['kind']} {name}, id {quote(each['id'], _NAME_LENGTH)}")
    omitted = count - len(structured["undone"])
    if omitted:
        lines.append(f"- … and {omitted} more")
    lines += [f"- not undone: {escape(each['message'])}" for each in structured["not_undone"]]
    omitted = structured["not_undone_count"] - len(structured["not_undone"])
    if omitted:
        lines.append(f"- not undone: {omitted} more")
    lines.append(render_run(structured, "To do it again"))
    return "\n".join(lines)


TOOL = define_tool(
    name=NAME,
    title="Undo",
    description="Take back a change or a whole run. Newer changes of the same tasks prevent it.",
    run=_run,
    scope="write",
    effect="changes",
    arguments=_ARGUMENTS,
    removable=(),
    result=_RESULT,
    always=[*CLOCK, "undone", "undone_count", "not_undone", "not_undone_count", "run_id"],
)
