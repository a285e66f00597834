"""add_tasks: creates tasks from quick-add lines or from fields, all or none."""

import re
from collections.abc import Sequence
from functools import partial

from todo.core.domain import PRIORITIES, NewTask
from todo.core.errors import ValidationFailedError
from todo.core.ids import new_uuid7
from todo.db.tables import LIST_NAME_LENGTH
from todo.lists.schemas import ListCreate
from todo.lists.service import ListService
from todo.mcp.quoting import quote
from todo.mcp.tool import Json, ToolCall, ToolError, ToolResult
from todo.mcp.tools.account_time import render_heading
from todo.mcp.tools.definition import CLOCK, define_tool
from todo.mcp.tools.items import (
    DUE,
    RULE,
    Items,
    is_removed,
    open_items,
    read_items,
    read_tag,
    run_task_operations,
)
from todo.mcp.tools.list_lookup import ListLookup
from todo.mcp.tools.schema import array, flag, record, text
from todo.mcp.tools.task_view import TASK, render_tasks, view_task
from todo.mcp.tools.write import (
    MAX_TASKS,
    REPEATABLE,
    RESULT,
    raise_for_items,
    render_run,
    run_tool_write,
)
from todo.tasks.batch import Creation, prepare_batch
from todo.tasks.quick_add import find_faults, parse_fields
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.schemas import TaskCreate
from todo.tasks.visible_lists import VisibleList, fetch_visible_lists
from todo.writes.unit_of_work import UnitOfWork

NAME = "add_tasks"
_NOTHING: NewTask = {"title": ""}
"""Placeholder for an item with errors, which prevent the write."""
_MAX_LISTS = 10
_OF_CALL = re.compile(r"tasks\.(\d+)")
_PLAIN = ("title", "description", "priority", "reminders")

_ARGUMENTS: Json = {
    "tasks": array(
        "Each with either text or title.",
        record(
            {
                "text": text(
                    "Quick add: 'Pay rent every 1st at 9 #Home @bills p1'. #Name is a list if"
                    " there is one, otherwise a tag. Fields below win."
                ),
                "title": text("Used literally."),
                "description": text("Notes."),
                "due": text("'next friday 3pm', 'in 2 weeks' or ISO."),
                "recurrence": text(
                    "'every other monday' or RRULE; 'every!' counts from completion."
                ),
                "priority": text("Default none.", PRIORITIES),
                "tags": array("Tags.", {"type": "string"}),
                "list": text("Name or id."),
                "parent_id": text("Parent task; 'tasks.0' is the first of this call."),
                "reminders": array("Minutes before due.", {"type": "integer"}),
            }
        ),
        MAX_TASKS,
        min_items=1,
    ),
    "lists": array("Names of lists to create.", {"type": "string"}, _MAX_LISTS, min_items=1),
    "create_missing_lists": flag("Create lists given in `list` that do not exist."),
    **REPEATABLE,
}
_RESULT: Json = {
    **CLOCK,
    "tasks": array("In the order of the call.", TASK),
    "created_lists": array("Names of new lists.", {"type": "string"}),
    **RESULT,
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    # All attempts of the write share one time budget.
    rules = RuleEvaluation()
    given: list[Json] = arguments.get("tasks", [])
    if not given and "lists" not in arguments:
        raise ToolError("add_tasks needs tasks or lists.", "repeat the call with one of them.")
    items = await open_items(call)
    missing = _read_lists(call, items, arguments.get("lists", ()))
    if arguments.get("create_missing_lists"):
        missing += _find_missing(call, items, given)
    ids = [str(new_uuid7()) for _ in given]
    tasks = await read_items(rules, partial(_read, ids), given, items, _NOTHING)
    await prepare_batch(rules, tasks)

    async def write(work: UnitOfWork) -> Json:
        raise_for_items(items.errors)
        await _create_lists(work, missing)
        operations: list[Creation] = [
            {"op": "create", "task": {**task, "id": task_id}}
            for task, task_id in zip(tasks, ids, strict=True)
        ]
        created = await run_task_operations(work, rules, operations)
        shown = [view_task(task, items.clock, items.lists) for task in created]
        more = {"created_lists": [each.name for each in missing]} if missing else {}
        return {**items.clock.render(), "tasks": shown, **more}

    return await run_tool_write(call, NAME, arguments, write, _render)


def _find_missing(call: ToolCall, items: Items, given: list[Json]) -> list[VisibleList]:
    """Return the lists to create for `list` fields that name a missing list."""
    missing: list[VisibleList] = []
    for index, item in enumerate(given):
        # The first item with this list creates it for the others.
        if "list" not in item or is_removed(item["list"]) or items.lookup.has(item["list"]):
            continue
        missing += _make_list(call, items, item["list"], f"tasks.{index}.list")
    return missing


def _read_lists(call: ToolCall, items: Items, names: Sequence[str]) -> list[VisibleList]:
    """Return the lists to create for the argument `lists`."""
    made: list[VisibleList] = []
    for index, name in enumerate(names):
        if items.lookup.has(name):
            items.add_error(f"lists.{index}", "is a list already, or an id")
        else:
            made += _make_list(call, items, name, f"lists.{index}")
    return made


def _make_list(call: ToolCall, items: Items, name: str, path: str) -> list[VisibleList]:
    """Register a list to be created, and return it as the only item; return none after an error."""
    if call.caller.list_id is not None:
        message = "this token is for one list, and cannot create another; leave the list out"
        items.add_error(path, message, "read-only")
    elif not items.lists.is_complete:
        # A list that was not loaded may have this name; this adds the error.
        items.resolve_list(name, path)
    elif fields := items.validate(ListCreate, {"name": name}, path, {"name": ""}):
        new = VisibleList(str(new_uuid7()), fields["name"], call.caller.user, "owner")
        items.lookup.add(new)
        return [new]
    return []


async def _create_lists(work: UnitOfWork, missing: list[VisibleList]) -> None:
    """Create lists; raise a ToolError if one was created in the meantime."""
    if not missing:
        return
    await work.lock(work.caller.user)
    known = ListLookup(await fetch_visible_lists(work.session, work.caller))
    for new in missing:
        if known.has(new.name):
            message = f"The list {quote(new.name, LIST_NAME_LENGTH)} was created in the meantime."
            raise ToolError(message, "repeat the call.", code="conflict")
        await ListService(work).create({"name": new.name}, new.id)


def _read(ids: Sequence[str], item: Json, items: Items, path: str) -> NewTask:
    """Return the fields of a new task; `ids` are those of all tasks of the call."""
    if ("text" in item) == ("title" in item):
        items.add_error(path, "needs either text or title")
        return _NOTHING
    fields: Json = _read_text(item["text"], items, f"{path}.text") if "text" in item else {}
    fields |= {name: item[name] for name in _PLAIN if name in item}
    if "tags" in item:
        fields["tags"] = list(map(read_tag, item["tags"]))
    if "parent_id" in item:
        fields["parent_id"] = _read_parent(ids, item["parent_id"], items, path)
    if "due" in item:
        fields = {name: value for name, value in fields.items() if name not in DUE}
        if not is_removed(item["due"]):
            fields.update(items.read_due(item["due"], f"{path}.due"))
    if "recurrence" in item and is_removed(item["recurrence"]):
        fields = {name: value for name, value in fields.items() if name not in RULE}
    elif "recurrence" in item:
        has_due = "due" in item or bool(DUE & fields.keys())
        read = items.read_recurrence if has_due else items.read_series
        fields.update(read(item["recurrence"], f"{path}.recurrence"))
    if "list" in item:
        goes = is_removed(item["list"])
        fields["list_id"] = None if goes else items.resolve_list(item["list"], f"{path}.list")
    task: NewTask = items.validate(TaskCreate, fields, path) if "title" in fields else _NOTHING
    return task


def _read_parent(ids: Sequence[str], given: str, items: Items, path: str) -> str | None:
    """Return the ID of the parent: an existing task, or an earlier one of the call."""
    of_call = None if given is None else _OF_CALL.fullmatch(given.strip())
    if of_call is None:
        return items.read_parent(given, f"{path}.parent_id")
    before = ids[: int(path.rpartition(".")[2])]
    index = int(of_call[1])
    if index < len(before):
        return before[index]
    items.add_error(f"{path}.parent_id", "is not a task before this one; put the one above first")
    return None


def _read_text(given: str, items: Items, path: str) -> Json:
    """Return the fields of a quick-add line; an ambiguous part becomes an error."""
    try:
        found = parse_fields(given, items.quick_add, items.clock.now, {}, "list to an id")
    except ValidationFailedError as error:
        for each in error.errors or ():
            items.add_error(path, str(each["message"]), str(each["code"]))
        return {}
    faults = find_faults(found.parsed)
    for fault in faults:
        start, end = fault.pop("start", None), fault.pop("end", None)
        more = {} if start is None else {"part": given[start:end]}
        items.add_error(path, **fault, **more)
    return {} if faults else dict(found.task)


def _render(structured: Json) -> str:
    tasks = structured["tasks"]
    lines = [render_heading(structured), f"Added {len(tasks)} task{'s' * (len(tasks) != 1)}."]
    if names := structured.get("created_lists"):
        lines.append(f"New lists: {', '.join(quote(name, LIST_NAME_LENGTH) for name in names)}.")
    return "\n".join([*lines, *render_tasks(tasks, structured["zone"]), render_run(structured)])


TOOL = define_tool(
    name=NAME,
    title="Add tasks",
    description="Add up to 50 tasks, or lists, all or none. A question about an ambiguous text adds"
    " nothing.",
    run=_run,
    scope="write",
    effect="adds",
    arguments=_ARGUMENTS,
    result=_RESULT,
    always=[*CLOCK, "tasks", "run_id"],
)
