"""reschedule_tasks: moves dues and sets recurrences, and keeps what is not mentioned."""

from todo.core.errors import ProblemError
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.changed_tasks import ALWAYS, CHANGED, render_changed, show_changed
from todo.mcp.tools.definition import define_tool
from todo.mcp.tools.items import Items, is_removed, open_items, read_costly, run_operations
from todo.mcp.tools.new_due import keep_clock, move, read_clock, read_old_due
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
from todo.quickadd.moves import parse_new_due
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
                "due": text(
                    "As in add_tasks, in the task's zone. A day alone keeps the time, a time alone"
                    " the day. '1 hour later' and '+1 week' count from the due. 'none' removes it."
                ),
                "recurrence": text("As in add_tasks; 'none' removes it."),
                **VERSION,
            },
            ["id"],
        ),
        MAX_TASKS,
        least=1,
    ),
    **REPEATABLE,
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    require_versions(call.caller, arguments["tasks"])
    rules = RuleEvaluation()

    async def act(work: UnitOfWork) -> Json:
        items = await open_items(work.session, work.caller, work.now)
        operations = []
        for index, item in enumerate(arguments["tasks"]):
            path = f"tasks.{index}"
            known = len(items.errors)
            place = items.identify(item, path)
            fields: Json = {}
            if len(items.errors) == known:
                try:
                    fields = await _read(work, items, rules, item | {"id": place["id"]}, path)
                except ProblemError as error:
                    items.errors += explain(index, error)
            operations.append({"op": "update", "task": fields, **place})
        raise_for_items(items.errors)
        return show_changed(items, await run_operations(work, rules, operations))

    return await run_write(
        call, NAME, arguments, act, lambda done: render_changed("Rescheduled", done)
    )


async def _read(
    work: UnitOfWork, items: Items, rules: RuleEvaluation, item: Json, path: str
) -> Json:
    """Return the fields that a task gets; it is locked until they are set.

    Raises:
        ProblemError: As `TaskService.update`.
    """
    if "due" not in item and "recurrence" not in item:
        items.add_error(path, "changes nothing; give a due or a recurrence")
        return {}
    version = item.get("version")
    expected = None if version is None else frozenset({version})
    before = parse_document(await TaskService(work).get_to_change(item["id"], expected))
    return await read_costly(rules, _read_fields, item, items, before, path)


def _read_fields(item: Json, items: Items, before: Document, path: str) -> Json:
    fields = _read_recurrence(before, items, item, f"{path}.recurrence")
    if "due" not in item:
        return fields
    if is_removed(item["due"]):
        return {**fields, "due_date": None, "due_at": None}
    rule = fields.get("recurrence", before["recurrence"])
    try:
        new = parse_new_due(item["due"], items.clock.now, items.clock.zone)
        return fields | move(read_old_due(before, items.clock), new, rule)
    except ValueError as error:
        items.add_due_error(item["due"], f"{path}.due", error)
        return {}


def _read_recurrence(before: Document, items: Items, item: Json, path: str) -> Json:
    if "recurrence" not in item:
        return {}
    if is_removed(item["recurrence"]):
        return {"recurrence": None}
    if "due" not in item and before["due_date"] is None and before["due_at"] is None:
        # As for a new task: without a due, nobody would see it.
        return items.read_series(item["recurrence"], path)
    fields = items.read_recurrence(item["recurrence"], path)
    clock = read_clock(before["recurrence"])
    if fields and "due" not in item and clock is not None:
        # The due was moved by a gap: only the rule before knows the time of its series.
        fields["recurrence"] = keep_clock(fields["recurrence"], clock)
    return fields


TOOL = define_tool(
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
)
