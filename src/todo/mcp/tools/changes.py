"""changes_since: returns changes from the journal with their authors, oldest first."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from todo.db.session import Session
from todo.journal.repository import (
    MAX_SEQ,
    Changes,
    Filter,
    View,
    find_head,
    find_view,
    read_changes,
    read_history,
)
from todo.mcp.quoting import cut, quote
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.account_time import AccountTime, render_heading
from todo.mcp.tools.definition import CLOCK, define_tool
from todo.mcp.tools.items import open_view, raise_for_arguments
from todo.mcp.tools.schema import flag, integer, text
from todo.mcp.tools.task_view import TIMES

_DEFAULT = 20
_MAX = 50
_MAX_PAGES = 5
_VALUE_LENGTH = 100
_NAME_LENGTH = 255
_SHOWN_LENGTH = 60
_NAMES = ("title", "name", "user_id", "zone")
_AUTHOR = ("actor", "agent", "run_id")
# Fields that every change updates.
_ALWAYS_CHANGED = {"updated_at", "version", "position"}

_RESULT: Json = {
    **CLOCK,
    "changes": {
        "type": "array",
        "description": "Oldest first.",
        "items": {
            "type": "object",
            "description": "A change.",
            "properties": {
                "seq": integer("Its number, for undo."),
                "at": text("When."),
                "operation": text("create, update, complete …"),
                "kind": text("task, list, share …"),
                "id": text("ID of the changed entity."),
                "name": text("Its title or name."),
                "gone": flag("Whether it was gone afterwards."),
                "actor": text("The user who made it."),
                "agent": text("The program that made it."),
                "run_id": text("Its run, for undo."),
                "changed": {"type": "object", "description": "Field: value before and after."},
            },
        },
    },
    "list": text("Whose owner's journal has these numbers; undo and since need it as well."),
    "next_since": integer("since for the next call."),
    "has_more": flag("Whether there are later changes."),
}


@dataclass(frozen=True, slots=True)
class _Page:
    """Page of journal entries, oldest first, and where to continue."""

    entries: list[Json]
    next_since: int
    has_more: bool


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    caller = call.caller
    limit = arguments.get("limit", _DEFAULT)
    async with call.state.database.reading(caller.user) as session:
        items, list_id = await open_view(session, call, arguments.get("list"))
        raise_for_arguments(items)
        view = await find_view(session, caller, None if list_id is None else UUID(list_id))
        since = arguments.get("since")
        if since is None:
            page = await _read_latest(session, view, limit)
        else:
            page = await _read_since(session, view, since, limit)
    structured: Json = {
        **items.clock.render(),
        "changes": [_show(entry, items.clock) for entry in page.entries],
        "next_since": page.next_since,
        "has_more": page.has_more,
    }
    if view.owner != caller.user and list_id is not None:
        structured["list"] = items.lists.find_name(list_id) or list_id
    return ToolResult(structured, _render(structured))


async def _read_latest(session: Session, view: View, limit: int) -> _Page:
    """Return the latest changes of a view; `next_since` is the end of the journal."""
    head = await find_head(session, view.owner)
    found: list[bytes] = []
    before: int | None = head + 1
    # A history page scans a limited number of entries, so it can be too short.
    for _ in range(_MAX_PAGES):
        items, before = await read_history(session, view, Filter(), before, limit - len(found))
        found += items
        if before is None or len(found) == limit:
            break
    return _Page([orjson.loads(item) for item in reversed(found)], head, has_more=False)


async def _read_since(session: Session, view: View, since: int, limit: int) -> _Page:
    page = await read_changes(session, view, since, limit)
    entries = await _find_entries(session, view, page)
    shown = [entries.get(change.seq) or orjson.loads(change.data) for change in page.items]
    return _Page(shown, page.next_since, page.has_more)


async def _find_entries(session: Session, view: View, page: Changes) -> dict[int, Json]:
    """Return the journal entries of changes, by number, with authors and previous values.

    A history page scans fewer entries than a page of changes, so some can be missing.
    """
    if not page.items:
        return {}
    before = page.items[-1].seq + 1
    found, _ = await read_history(session, view, Filter(), before, len(page.items))
    entries = [orjson.loads(item) for item in found]
    return {entry["seq"]: entry for entry in entries}


def _show(entry: Json, clock: AccountTime) -> Json:
    before, after = entry.get("before") or {}, entry.get("after") or {}
    shown = {name: entry[name] for name in ("seq", "at", "operation", "kind", "id")}
    shown["at"] = clock.show(entry["at"])
    named = after or before
    name = next((named[key] for key in _NAMES if key in named), None)
    if name is not None:
        shown["name"] = cut(str(name), _NAME_LENGTH)
    if "after" in entry and not after:
        shown["gone"] = True
    shown |= {name: entry[name] for name in _AUTHOR if entry.get(name) is not None}
    if before and after:
        shown["changed"] = {
            key: [_bound(key, before.get(key), clock), _bound(key, value, clock)]
            for key, value in after.items()
            if key not in _ALWAYS_CHANGED and before.get(key) != value
        }
    return shown


def _bound(key: str, value: Any, clock: AccountTime) -> Any:  # noqa: ANN401 - JSON
    if key in TIMES and value is not None:
        return clock.show(value)
    return cut(value, _VALUE_LENGTH) if isinstance(value, str) else value


def _render_id(change: Json) -> str:
    # The ID of a share or an account is a user ID, which can be any text.
    is_uuid = change["kind"] in {"task", "list"}
    return str(change["id"]) if is_uuid else quote(change["id"], _NAME_LENGTH)


def _render_fields(changed: Json) -> str:
    """Return the old and new values of changed fields, in parentheses."""
    fields = [
        f"{name} {' -> '.join(_render_value(value) for value in values)}"
        for name, values in changed.items()
    ]
    return f" ({', '.join(fields)})" if fields else ""


def _render_value(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return f"[{', '.join(quote(str(each), _SHOWN_LENGTH) for each in value)}]"
    return quote(value, _SHOWN_LENGTH) if isinstance(value, str) else orjson.dumps(value).decode()


def _render(structured: Json) -> str:
    changes = structured["changes"]
    lines = [render_heading(structured), "Changes:" if changes else "No changes."]
    for change in changes:
        name = f" {quote(change['name'], _NAME_LENGTH)}" if "name" in change else ""
        is_undone = change["operation"] == "restore" and "gone" in change
        fields = " (gone)" if is_undone else _render_fields(change.get("changed") or {})
        by = ", ".join(f"{key} {quote(change[key], 64)}" for key in _AUTHOR if key in change)
        lines.append(
            f"- {change['seq']} {change['at'][:16]} {change['operation']} {change['kind']}"
            f"{name}{fields}, id {_render_id(change)}, by {by or 'unknown'}"
        )
    more = "there are more; " if structured["has_more"] else ""
    lines.append(f"Next time: {more}since {structured['next_since']}.")
    if "list" in structured:
        name = quote(structured["list"], _NAME_LENGTH)
        lines.append(f"These numbers are of another user: send list {name} with since and undo.")
    return "\n".join(lines)


TOOL = define_tool(
    name="changes_since",
    title="Changes",
    description="The latest changes, or those after `since`: what, by whom, in which run.",
    run=_run,
    scope="read",
    effect="reads",
    arguments={
        "since": integer("next_since of the last call.", 0, MAX_SEQ),
        "list": text("Only this list: name or id."),
        "limit": integer(f"Default {_DEFAULT}.", 1, _MAX),
    },
    result=_RESULT,
    always=[*CLOCK, "changes", "next_since", "has_more"],
)
