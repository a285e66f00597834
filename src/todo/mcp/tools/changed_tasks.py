"""The result of a change of tasks: the tasks as they are now."""

from collections.abc import Sequence

from todo.mcp.tool import Json
from todo.mcp.tools.account_time import render_heading
from todo.mcp.tools.definition import CLOCK
from todo.mcp.tools.items import Items
from todo.mcp.tools.task_view import TASK, render_tasks, view_task
from todo.mcp.tools.write import RESULT, render_run
from todo.tasks.document import Document

CHANGED: Json = {
    **CLOCK,
    "tasks": {"type": "array", "items": TASK, "description": "As they are now."},
    **RESULT,
}
"""The properties of the result."""
ALWAYS = [*CLOCK, "tasks", "run_id"]


def show_changed(items: Items, documents: Sequence[Document]) -> Json:
    """Return the result for some documents."""
    tasks = [view_task(document, items.clock, items.lists) for document in documents]
    return {**items.clock.render(), "tasks": tasks}


def render_changed(verb: str, structured: Json, *more: str) -> str:
    """Return the text of a result."""
    tasks = structured["tasks"]
    lines = [
        render_heading(structured),
        f"{verb} {len(tasks)} task{'s' * (len(tasks) != 1)}.",
        *render_tasks(tasks, structured["zone"]),
        *more,
        render_run(structured),
    ]
    return "\n".join(lines)
