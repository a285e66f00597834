"""find_tasks: searches tasks by text and filters, sorted and in pages."""

from datetime import datetime, timedelta

from pydantic import ValidationError

from todo.core.domain import PRIORITIES
from todo.db.documents import TASK_FIELDS, parse_task
from todo.db.tables import LIST_NAME_LENGTH
from todo.mcp.quoting import quote
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.account_time import render_heading
from todo.mcp.tools.definition import CLOCK, define_tool
from todo.mcp.tools.due_order import read_due_page
from todo.mcp.tools.items import Items, is_removed, open_view, raise_for_arguments, read_tag
from todo.mcp.tools.schema import array, flag, integer, text
from todo.mcp.tools.task_view import KEYS, TASK, render_tasks, view_task
from todo.quickadd.windows import parse_window
from todo.schedule.due import at_wall_time
from todo.tasks.query import Query, read_page
from todo.tasks.schemas import MAX_TAGS, TaskQuery

MAX_PAGE = 50
DEFAULT_PAGE = 20
_MAX_OTHERS = 20
_DATES = {"due_from", "due_to"}
# Query parameter of the API for each argument.
_NAMES = {
    "query": "q",
    "tags": "tag",
    "priority": "priority",
    "due": "due",
    "parent_id": "parent",
    "sort": "sort",
    "cursor": "cursor",
}

_ARGUMENTS: Json = {
    "query": text("Words in title or description; the last may be incomplete."),
    "status": text("Default open.", ("open", "completed", "any")),
    "list": text("Name or id; 'none' for tasks in no list."),
    "tags": array("All of these.", {"type": "string"}, MAX_TAGS),
    "priority": text("Exactly this.", PRIORITIES),
    "due": text("Time window.", ("overdue", "today", "tomorrow", "week", "month", "none")),
    "due_from": text("First day or time: 'yesterday', 'last week', '3 days ago', ISO."),
    "due_to": text("Last day (inclusive) or time (exclusive)."),
    "updated_since": text("Changed then or later; completed ones are shown with completed_at."),
    "parent_id": text("Subtasks of this one."),
    "sort": text(
        "Default relevance with query, due with dates, otherwise created.",
        ("relevance", "due", "priority", "created", "updated", "title", "position"),
    ),
    "fields": array("Keys to return; default all that are set.", {"type": "string"}),
    "limit": integer(
        f"Default {DEFAULT_PAGE}. In due, a page continues until its last day starts.", 1, MAX_PAGE
    ),
    "cursor": text("next_cursor of the page before, with the same arguments."),
}
_RESULT: Json = {
    **CLOCK,
    "tasks": array("One page.", TASK),
    "next_cursor": text("For the next page; absent on the last."),
    "has_more": flag("Whether more tasks match."),
    "other_lists": array("Lists of other users, which were not searched.", {"type": "string"}),
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    caller = call.caller
    async with call.state.database.reading(caller.user) as session:
        given = arguments.get("list")
        of_list = None if given is None or is_removed(given) else given
        items, list_id = await open_view(session, call, of_list)
        query = _read(arguments, items, list_id)
        raise_for_arguments(items)
        if query.sort == "due":
            page = await read_due_page(session, caller, query, items.clock, call.now)
        else:
            page = await read_page(session, caller, query, call.now)
    limit = arguments.get("limit", DEFAULT_PAGE)
    wanted = arguments.get("fields")
    tasks = [
        view_task(parse_task(item), items.clock, items.lists, wanted)
        for item in (page.items[:limit] if query.sort == "relevance" else page.items)
    ]
    structured: Json = {**items.clock.render(), "tasks": tasks}
    if given is None and caller.list_id is None:
        names = [each.name for each in items.lists.all if each.access != "owner"]
        if names:
            structured["other_lists"] = names[:_MAX_OTHERS]
    structured["has_more"] = page.next_cursor is not None or len(page.items) > len(tasks)
    if page.next_cursor is not None:
        structured["next_cursor"] = page.next_cursor
    return ToolResult(structured, _render(structured))


def _read(arguments: Json, items: Items, list_id: str | None) -> Query:
    for name in set(arguments.get("fields", ())) - set(KEYS):
        items.add_error("fields", f"{quote(name, 40)} is not a key; use {', '.join(KEYS)}")
    given = {_NAMES[name]: arguments[name] for name in _NAMES if name in arguments}
    given["tag"] = list(map(read_tag, arguments.get("tags", ())))
    if "parent_id" in arguments:
        given["parent"] = items.read_id(arguments["parent_id"], "parent_id")
    try:
        asked = TaskQuery.model_validate(given)
    except ValidationError as error:
        items.add_validation_errors(error, {theirs: ours for ours, theirs in _NAMES.items()})
        return Query()
    search = asked.q if asked.q and asked.q.strip() else None
    if asked.sort == "relevance" and search is None:
        items.add_error("sort", "relevance requires query; give words, or another order")
    has_dates = asked.due not in {None, "none"} or bool(_DATES & arguments.keys())
    sort = asked.sort or ("relevance" if search else "due" if has_dates else "created")
    status = arguments.get("status", "open")
    limit = arguments.get("limit", DEFAULT_PAGE)
    return Query(
        status=None if status == "any" else status,
        priority=asked.priority,
        tags=tuple(dict.fromkeys(asked.tag)),
        list_id="none" if "list" in arguments and is_removed(arguments["list"]) else list_id,
        parent_id=None if asked.parent is None else str(asked.parent),
        due=asked.due,
        due_from=_read_bound(arguments, "due_from", items),
        due_to=_read_bound(arguments, "due_to", items, is_end=True),
        updated_since=_read_bound(arguments, "updated_since", items),
        search=search,
        sort=sort,
        # A search by relevance has no cursor; an extra task shows that there are more.
        limit=limit + 1 if sort == "relevance" else limit,
        cursor=asked.cursor,
        fields=TASK_FIELDS,
        zone=items.clock.name,
    )


def _read_bound(
    arguments: Json, name: str, items: Items, *, is_end: bool = False
) -> datetime | None:
    """Return the start or end of a time window; for a day, the midnight before or after it."""
    if name not in arguments:
        return None
    clock = items.clock
    try:
        found = parse_window(arguments[name], clock.now, clock.zone)
    except ValueError as error:
        items.add_error(name, str(error))
        return None
    if isinstance(found, datetime):
        return found
    day = found.last + timedelta(days=1) if is_end else found.first
    return at_wall_time(day, datetime.min.time(), clock.zone)


def _render(structured: Json) -> str:
    tasks = structured["tasks"]
    lines = [render_heading(structured), f"{len(tasks)} task{'s' * (len(tasks) != 1)}."]
    lines += render_tasks(tasks, structured["zone"])
    if "next_cursor" in structured:
        lines.append(f"More: repeat the call with cursor {structured['next_cursor']}")
    elif structured["has_more"]:
        lines.append("More tasks match: narrow the search, or sort by created to get pages.")
    if names := structured.get("other_lists"):
        shown = ", ".join(quote(name, LIST_NAME_LENGTH) for name in names)
        lines.append(f"Not searched: lists shared with you, each needs its own call: {shown}.")
    return "\n".join(lines)


TOOL = define_tool(
    name="find_tasks",
    title="Find tasks",
    description="Find the user's own tasks, or those of a list, by text and filters, in pages.",
    run=_run,
    scope="read",
    effect="reads",
    arguments=_ARGUMENTS,
    result=_RESULT,
    always=[*CLOCK, "tasks", "has_more"],
)
