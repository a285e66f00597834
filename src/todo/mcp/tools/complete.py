"""complete_tasks: completes or reopens tasks, and returns the next ones of their series."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from todo.db.documents import parse_task
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.changed_tasks import ALWAYS, CHANGED, render_changed, show_changed
from todo.mcp.tools.definition import define_tool
from todo.mcp.tools.items import open_items, run_task_operations
from todo.mcp.tools.schema import array, flag, record, text
from todo.mcp.tools.task_changes import raise_for_tasks
from todo.mcp.tools.task_view import TASK, render_tasks, view_task
from todo.mcp.tools.write import (
    MAX_TASKS,
    REPEATABLE,
    VERSION,
    require_versions,
    run_tool_write,
)
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.repository import TaskRepository
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.tasks.batch import Action

NAME = "complete_tasks"

_ARGUMENTS: Json = {
    "tasks": array(
        "Which tasks.", record({"id": text("Task id."), **VERSION}, ["id"]), MAX_TASKS, min_items=1
    ),
    "reopen": flag("Reopen them instead."),
    **REPEATABLE,
}
_RESULT: Json = {
    **CHANGED,
    "next": array("The next occurrences of those that repeat.", TASK),
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    require_versions(call.caller, arguments["tasks"])
    rules = RuleEvaluation()
    operation: Literal["complete", "reopen"] = "reopen" if arguments.get("reopen") else "complete"
    items = await open_items(call)
    given = enumerate(arguments["tasks"])
    targets = [items.identify(item, f"tasks.{index}") for index, item in given]
    operations: list[Action] = [{"op": operation, **target} for target in targets]

    async def write(work: UnitOfWork) -> Json:
        await raise_for_tasks(work, replace(items, errors=list(items.errors)), targets)
        tasks = await run_task_operations(work, rules, operations)
        done = show_changed(items, tasks)
        store = TaskRepository(work.session, work.caller)
        following = await store.find_following(
            [
                task["id"]
                for task in tasks
                if task["recurrence"] is not None and task["is_completed"]
            ]
        )
        done["next"] = [view_task(parse_task(each), items.clock, items.lists) for each in following]
        return done

    verb = "Reopened" if operation == "reopen" else "Completed"
    return await run_tool_write(call, NAME, arguments, write, lambda done: _render(verb, done))


def _render(verb: str, structured: Json) -> str:
    following = render_tasks(structured["next"], structured["zone"])
    more = ["Next occurrences:", *following] if following else []
    return render_changed(verb, structured, *more)


TOOL = define_tool(
    name=NAME,
    title="Complete tasks",
    description="Complete tasks, all or none. Returns the next occurrence of each that repeats.",
    run=_run,
    scope="write",
    effect="changes",
    arguments=_ARGUMENTS,
    required=["tasks"],
    idempotent=True,
    result=_RESULT,
    always=[*ALWAYS, "next"],
)
