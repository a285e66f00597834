"""overview: returns due tasks, and the number of open tasks in each list."""

from typing import Any

from todo.db.documents import parse_task
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.account_time import render_heading
from todo.mcp.tools.definition import CLOCK, define_tool
from todo.mcp.tools.due_order import read_due_page
from todo.mcp.tools.items import open_view, raise_for_arguments
from todo.mcp.tools.list_counts import LIST, count_lists, render_list, render_open
from todo.mcp.tools.schema import array, flag, integer, text
from todo.mcp.tools.task_view import TASK, render_tasks, view_task
from todo.tasks.query import Query

_DEFAULT_TASKS = 10
_MAX_TASKS = 50
_MAX_LISTS = 30
# Name of a section, its title, its first day, and the day after its last, in days from today.
_SECTIONS: tuple[tuple[str, str, int | None, int], ...] = (
    ("overdue", "Overdue, from before today", None, 0),
    ("due_today", "Today", 0, 1),
    ("next_7_days", "The 7 days after today", 1, 8),
)

_SECTION: Json = {
    "type": "object",
    "description": "Open tasks that are due then.",
    "properties": {
        "tasks": array("The first of them.", TASK),
        "has_more": flag("Whether there are others."),
    },
}
_RESULT: Json = {
    **CLOCK,
    **{name: _SECTION for name, *_ in _SECTIONS},
    "lists": array("Lists with open tasks.", LIST),
    "no_list": LIST,
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    caller = call.caller
    limit = arguments.get("limit", _DEFAULT_TASKS)
    async with call.state.database.reading(caller.user) as session:
        items, list_id = await open_view(session, call, arguments.get("list"))
        raise_for_arguments(items)
        clock, lists = items.clock, items.lists
        structured: dict[str, Any] = clock.render()
        for name, _title, first, end in _SECTIONS:
            query = Query(
                status="open",
                list_id=list_id,
                due_from=None if first is None else clock.start_of(first),
                due_to=clock.start_of(end),
                limit=limit,
                zone=clock.name,
            )
            page = await read_due_page(session, caller, query, clock, call.now)
            shown = page.items[:limit]
            tasks = [view_task(parse_task(item), clock, lists) for item in shown]
            has_more = page.next_cursor is not None or len(page.items) > limit
            structured[name] = {"tasks": tasks, "has_more": has_more}
        if list_id is None:
            counted, no_list = await count_lists(session, caller, lists.all)
            if caller.list_id is None:
                structured["no_list"] = no_list
            busy = sorted((each for each in counted if each.get("open")), key=_by_open)
            structured["lists"] = busy[:_MAX_LISTS]
    return ToolResult(structured, _render(structured))


def _by_open(entry: Json) -> int:
    return -int(entry["open"])


def _render(structured: Json) -> str:
    lines = [render_heading(structured)]
    for name, title, *_ in _SECTIONS:
        section = structured[name]
        tasks = render_tasks(section["tasks"], structured["zone"])
        lines += [f"{title}:" if tasks else f"{title}: nothing.", *tasks]
        if section["has_more"]:
            lines.append("- … more: find_tasks with due_from and due_to")
    if structured.get("lists"):
        lines += ["Lists:", *map(render_list, structured["lists"])]
    if any(each["access"] != "owner" for each in structured.get("lists", ())):
        lines.append("Due tasks of lists shared with you are in: overview with list.")
    if structured.get("no_list"):
        lines.append(f"In no list{render_open(structured['no_list'])}.")
    return "\n".join(lines)


TOOL = define_tool(
    name="overview",
    title="Overview",
    description="Overdue, today, the next 7 days, open tasks by list. Start here.",
    run=_run,
    scope="read",
    effect="reads",
    arguments={
        "list": text("Only this list: name or id."),
        "limit": integer(f"Tasks a section, default {_DEFAULT_TASKS}.", 1, _MAX_TASKS),
    },
    result=_RESULT,
    always=[*CLOCK, *(name for name, *_ in _SECTIONS)],
)
