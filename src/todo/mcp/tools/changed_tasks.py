"""Result of tools that change tasks: the changed tasks."""

from collections.abc import Sequence

from todo.core.domain import Task
from todo.db.tables import LIST_NAME_LENGTH
from todo.mcp.quoting import quote
from todo.mcp.tool import Json
from todo.mcp.tools.account_time import render_heading
from todo.mcp.tools.definition import CLOCK
from todo.mcp.tools.items import Items
from todo.mcp.tools.schema import array
from todo.mcp.tools.task_view import TASK, render_tasks, view_task
from todo.mcp.tools.write import RESULT, render_run

CHANGED: Json = {
    **CLOCK,
    "tasks": array("As they are now.", TASK),
    "renamed_lists": array("New names of lists.", {"type": "string"}),
    **RESULT,
}
"""Schema of the properties of the result."""
ALWAYS = [*CLOCK, "tasks", "run_id"]


def show_changed(items: Items, tasks: Sequence[Task]) -> Json:
    """Return the result with the changed tasks."""
    shown = [view_task(task, items.clock, items.lists) for task in tasks]
    return {**items.clock.render(), "tasks": shown}


def render_changed(verb: str, structured: Json, *more: str) -> str:
    """Return the text of a result, with further lines before the last one."""
    tasks, names = structured["tasks"], structured.get("renamed_lists", [])
    lines = [render_heading(structured)]
    if tasks or not names:
        lines.append(f"{verb} {len(tasks)} task{'s' * (len(tasks) != 1)}.")
    lines += render_tasks(tasks, structured["zone"])
    if names:
        lines.append(
            f"Renamed lists: {', '.join(quote(name, LIST_NAME_LENGTH) for name in names)}."
        )
    return "\n".join([*lines, *more, render_run(structured)])
