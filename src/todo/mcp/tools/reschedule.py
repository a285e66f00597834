"""reschedule_tasks: moves dues and sets recurrences, and keeps what is not mentioned."""

from datetime import date, datetime

from todo.core.errors import ProblemError
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.changed_tasks import ALWAYS, CHANGED, render_changed, show_changed
from todo.mcp.tools.definition import Definition
from todo.mcp.tools.items import Items, is_removed, open_items, run_operations
from todo.mcp.tools.schema import array, record, text
from todo.mcp.tools.write import (
    MAX_TASKS,
    REPEATABLE,
    VERSION,
    explain,
    raise_for_items,
    require_versions,
    run_write,
)
from todo.schedule.due import at_wall_time, check_zone
from todo.schedule.rule import read_rule
from todo.tasks.document import Document, parse_document
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

NAME = "reschedule_tasks"

_ARGUMENTS: Json = {
    "tasks": array(
        "Absent fields stay.",
        record(
            {
                "id": text("Task id."),
                "due": text("As in add_tasks; a day alone keeps the time. 'none' removes it."),
                "recurrence": text("As in add_tasks; 'none' removes it."),
                **VERSION,
            },
            ["id"],
        ),
        MAX_TASKS,
    ),
    **REPEATABLE,
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    require_versions(call.caller, arguments["tasks"])
    rules = RuleEvaluation()

    async def act(work: UnitOfWork) -> Json:
        items = await open_items(work)
        operations = []
        for index, item in enumerate(arguments["tasks"]):
            path = f"tasks.{index}"
            place = items.identify(item, path)
            fields = _read_recurrence(item, items, path)
            if "due" in item and not items.errors:
                try:
                    fields |= await _read_due(work, items, item | {"id": place["id"]}, path)
                except ProblemError as error:
                    items.errors += explain(index, error)
            if not fields and not items.errors:
                items.add_error(path, "changes nothing; give a due or a recurrence")
            operations.append({"op": "update", "task": fields, **place})
        raise_for_items(items.errors)
        return show_changed(items, await run_operations(work, rules, operations))

    return await run_write(
        call, NAME, arguments, act, lambda done: render_changed("Rescheduled", done)
    )


def _read_recurrence(item: Json, items: Items, path: str) -> Json:
    if "recurrence" not in item:
        return {}
    if is_removed(item["recurrence"]):
        return {"recurrence": None}
    return items.read_recurrence(item["recurrence"], f"{path}.recurrence")


async def _read_due(work: UnitOfWork, items: Items, item: Json, path: str) -> Json:
    """Return the fields of the new due of a task, which is locked until they are set.

    Raises:
        ProblemError: As `TaskService.update`.
    """
    if is_removed(item["due"]):
        return {"due_date": None, "due_at": None}
    fields = items.read_due(item["due"], f"{path}.due")
    if "due_date" not in fields:
        return fields
    version = item.get("version")
    expected = None if version is None else frozenset({version})
    before = parse_document(await TaskService(work).get_to_change(item["id"], expected))
    return fields if before["due_at"] is None else _keep_time(before, fields["due_date"])


def _keep_time(before: Document, day: str) -> Json:
    """Return the instant on another day at which the clocks show the same as before."""
    zone = check_zone(before["due_zone"])
    clock = datetime.fromisoformat(before["due_at"]).astimezone(zone).time()
    if before["recurrence"] is not None:
        # Of an instance that a change of the clocks keeps off the time of its series.
        clock = read_rule(before["recurrence"]).clock or clock
    at = at_wall_time(date.fromisoformat(day), clock, zone)
    return {"due_at": at.isoformat(), "due_zone": before["due_zone"]}


TOOL = Definition(
    name=NAME,
    title="Reschedule tasks",
    description="Move tasks, all or none. Recurrence, reminders and time of day stay unless given.",
    run=_run,
    scope="write",
    effect="changes",
    arguments=_ARGUMENTS,
    required=["tasks"],
    removable=("due", "recurrence"),
    result=CHANGED,
    always=ALWAYS,
).build()
