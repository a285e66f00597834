"""reschedule_tasks: moves due dates and sets recurrences; omitted fields stay unchanged."""

from dataclasses import replace

from todo.core.domain import Task, TaskChanges
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.changed_tasks import ALWAYS, CHANGED
from todo.mcp.tools.definition import define_tool
from todo.mcp.tools.items import Items, is_removed
from todo.mcp.tools.new_due import keep_clock, move, read_clock, read_old_due
from todo.mcp.tools.schema import array, record, text
from todo.mcp.tools.task_changes import TaskChange, change_tasks
from todo.mcp.tools.write import MAX_TASKS, REPEATABLE, VERSION
from todo.quickadd.moves import parse_new_due

NAME = "reschedule_tasks"

_ARGUMENTS: Json = {
    "tasks": array(
        "Absent fields stay.",
        record(
            {
                "id": text("Task id."),
                "due": text(
                    "As in add_tasks, in the task's zone. A day alone keeps the time, a time alone"
                    " the day. '1 hour later' and '+1 week' count from the due date. 'none' removes"
                    " it."
                ),
                "recurrence": text("As in add_tasks; 'none' removes it."),
                **VERSION,
            },
            ["id"],
        ),
        MAX_TASKS,
        min_items=1,
    ),
    **REPEATABLE,
}
_NO_DUE: TaskChanges = {"due_date": None, "due_at": None}
_NO_RULE: TaskChanges = {"recurrence": None}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    return await change_tasks(call, NAME, arguments, "Rescheduled", _read)


def _read(item: Json, items: Items, path: str) -> TaskChange:
    if "due" not in item and "recurrence" not in item:
        items.add_error(path, "changes nothing; give a due date or a recurrence")
    if "due" not in item:
        return _read_rule_alone(item, items, f"{path}.recurrence")
    fields: TaskChanges = {}
    if "recurrence" in item:
        is_gone = is_removed(item["recurrence"])
        given = f"{path}.recurrence"
        fields = _NO_RULE if is_gone else items.read_recurrence(item["recurrence"], given)
    if is_removed(item["due"]):
        return TaskChange({**fields, **_NO_DUE})
    try:
        new = parse_new_due(item["due"], items.clock.now, items.clock.zone)
    except ValueError as error:
        items.add_due_error(item["due"], f"{path}.due", error)
        return TaskChange(fields)

    def finish(before: Task, attempt: Items) -> TaskChanges:
        rule = fields.get("recurrence", before["recurrence"])
        try:
            return move(read_old_due(before, items.clock), new, rule)
        except ValueError as error:
            attempt.add_due_error(item["due"], f"{path}.due", error)
            return {}

    return TaskChange(fields, finish)


def _read_rule_alone(item: Json, items: Items, path: str) -> TaskChange:
    """Return the change for a new recurrence only, which keeps the due date of the task."""
    if "recurrence" not in item or is_removed(item["recurrence"]):
        return TaskChange(_NO_RULE if "recurrence" in item else {})
    text_of_rule = item["recurrence"]
    with_due, without_due = (replace(items, errors=[]) for _ in range(2))
    rule = with_due.read_recurrence(text_of_rule, path)
    # A task without a due date gets the first due date of the series, like a new task.
    series = without_due.read_series(text_of_rule, path)

    def finish(before: Task, attempt: Items) -> TaskChanges:
        if before["due_date"] is None and before["due_at"] is None:
            attempt.errors += without_due.errors
            return series
        attempt.errors += with_due.errors
        clock, recurrence = read_clock(before["recurrence"]), rule.get("recurrence")
        if recurrence is None or clock is None:
            return rule
        # A clock change moved the due date, so only the old rule has the wall time of the series.
        return {**rule, "recurrence": keep_clock(recurrence, clock)}

    return TaskChange({}, finish)


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
