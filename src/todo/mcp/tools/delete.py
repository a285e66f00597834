"""delete_tasks: previews a deletion, and deletes only after confirmation."""

from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from todo.core.domain import Task
from todo.core.errors import BatchFailedError, NotFoundError
from todo.db.documents import parse_task
from todo.db.tables import LIST_NAME_LENGTH
from todo.journal.current_documents import fetch_documents
from todo.mcp.quoting import quote
from todo.mcp.tool import Json, ToolCall, ToolError, ToolResult
from todo.mcp.tools.account_time import render_heading
from todo.mcp.tools.definition import CLOCK, define_tool
from todo.mcp.tools.items import Items, open_items
from todo.mcp.tools.schema import array, integer, record, text
from todo.mcp.tools.task_view import TASK, render_tasks, view_task
from todo.mcp.tools.write import (
    MAX_TASKS,
    REPEATABLE,
    RESULT,
    VERSION,
    raise_for_items,
    render_replay,
    render_run,
    run_tool_write,
    translate_batch_error,
)
from todo.plans.operation import PlanOperation
from todo.plans.outcome import count_outcome
from todo.plans.repository import PlanRepository
from todo.plans.service import PlanService, parse_operations
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.plans.preview import RenderedChange

NAME = "delete_tasks"
_MAX_LISTS = 10
_MAX_SHOWN = 50
_LIFETIME_MINUTES = 15
"""Lifetime of a plan: short, because users can have few open plans, and many are declined."""
_DELETIONS = {"delete", "delete_list"}

_ARGUMENTS: Json = {
    "tasks": array(
        "Tasks to delete, with their subtasks.",
        record({"id": text("Task id."), **VERSION}, ["id"]),
        MAX_TASKS,
    ),
    "lists": array(
        "Lists to delete with all their tasks: names or ids.", {"type": "string"}, _MAX_LISTS
    ),
    "plan_id": text("Second call, without the others: delete what this plan showed."),
    **REPEATABLE,
}
_RESULT: Json = {
    **CLOCK,
    "status": text("planned: nothing is deleted yet; or deleted."),
    "plan_id": text("The plan, for the second call."),
    "expires_at": text("Expiry of the plan."),
    "count": integer("Number of tasks, including subtasks."),
    "tasks": array("The first of them.", TASK),
    "lists": array("Names of the lists.", {"type": "string"}),
    **RESULT,
}


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    is_confirmed = "plan_id" in arguments
    if is_confirmed is bool(arguments.get("tasks") or arguments.get("lists")):
        raise ToolError(
            "delete_tasks requires either tasks or lists, or only plan_id.",
            "call it with tasks or lists first, then again with only the plan_id that it returned.",
        )
    if not is_confirmed:
        # The service requires this scope as well, but list names are looked up first.
        call.caller.require("read")
    items = await open_items(call)
    operations: list[PlanOperation] = [] if is_confirmed else _read(arguments, items)

    async def write(work: UnitOfWork) -> Json:
        raise_for_items(items.errors)
        plans = PlanService(work)
        if is_confirmed:
            structured = await _apply(work, items, plans, arguments["plan_id"])
        else:
            structured = await _plan(work, items, plans, operations)
        outcome.name = "applied" if is_confirmed else "created"
        return structured

    with count_outcome(call.state.metrics.count_plan) as outcome:
        return await run_tool_write(call, NAME, arguments, write, _render)


def _read(arguments: Json, items: Items) -> list[PlanOperation]:
    operations: list[PlanOperation] = [
        {"op": "delete", **items.identify(item, f"tasks.{index}")}
        for index, item in enumerate(arguments.get("tasks", ()))
    ]
    for index, given in enumerate(arguments.get("lists", ())):
        # Errors prevent the plan, so the empty ID is never used.
        list_id = items.resolve_list(given, f"lists.{index}") or ""
        operations.append({"op": "delete_list", "id": list_id})
    return operations


async def _plan(
    work: UnitOfWork, items: Items, plans: PlanService, operations: list[PlanOperation]
) -> Json:
    """Create a plan, and return the result that shows it."""
    try:
        plan = await plans.create(operations, expires_in_minutes=_LIFETIME_MINUTES)
    except BatchFailedError as error:
        tasks = sum(each["op"] == "delete" for each in operations)
        errors = translate_batch_error(error, tasks)
        raise_for_items([_explain_missing(each) for each in errors])
        raise
    # A plan contains only as many documents as fit, but named tasks are always shown.
    named = await _fetch_tasks(work, operations)
    changes: list[RenderedChange] = orjson.loads(plan.changes)
    deleted = [change["before"] for change in changes if change["operation"] == "delete"]
    below = [each for each in deleted if each and "title" in each and each["id"] not in named]
    shown = [*named.values(), *below][: max(_MAX_SHOWN, len(named))]
    return {
        **items.clock.render(),
        "status": "planned",
        "plan_id": plan.id,
        "expires_at": items.clock.show(plan.expires_at),
        "count": _count_tasks(orjson.loads(plan.summary)),
        "tasks": [view_task(task, items.clock, items.lists) for task in shown],
        "lists": _name_lists(operations, items),
    }


async def _fetch_tasks(work: UnitOfWork, operations: list[PlanOperation]) -> dict[str, Task]:
    """Return the tasks that operations name; the plan ensures that they exist."""
    ids = [each["id"] for each in operations if each["op"] == "delete"]
    found = await fetch_documents(work.session, (("task", task_id) for task_id in ids))
    return {task_id: parse_task(found["task", task_id]) for task_id in ids}


def _name_lists(operations: list[PlanOperation], items: Items) -> list[str]:
    ids = [each["id"] for each in operations if each["op"] == "delete_list"]
    return [items.lists.find_name(list_id) or list_id for list_id in ids]


def _explain_missing(error: Json) -> Json:
    if error["code"] == "read-only" and str(error["field"]).startswith("lists."):
        return {**error, "message": "is a list of another user, and only its owner may delete it"}
    if error["code"] != "not-found":
        return error
    message = "not there; what is below another item is deleted with it"
    return {**error, "message": message}


def _count_tasks(summary: list[Json]) -> int:
    return sum(
        each["count"] for each in summary if (each["operation"], each["kind"]) == ("delete", "task")
    )


async def _apply(work: UnitOfWork, items: Items, plans: PlanService, plan_id: str) -> Json:
    """Apply a plan that only deletes, and return the result."""
    try:
        plan_id = str(UUID(plan_id))
    except ValueError:
        raise NotFoundError from None
    plan = await PlanRepository(work.session, work.caller).find(plan_id)
    if plan is None:
        raise NotFoundError
    operations = parse_operations(plan.operations)
    if not {operation["op"] for operation in operations} <= _DELETIONS:
        raise ToolError(
            "This plan does more than delete.",
            "call delete_tasks with tasks or lists, and use the plan_id that it returns.",
            code="other-plan",
        )
    await plans.apply(plan_id)
    return {
        **items.clock.render(),
        "status": "deleted",
        "plan_id": plan_id,
        "count": _count_tasks(orjson.loads(plan.summary)),
        "lists": _name_lists(operations, items),
    }


def _render(structured: Json) -> str:
    count = structured["count"]
    tasks = f"{count} task{'s' * (count != 1)}"
    lines = [render_heading(structured)]
    if structured["status"] == "deleted":
        names = ", ".join(quote(name, LIST_NAME_LENGTH) for name in structured["lists"])
        lists = f", and the lists {names}" if names else ""
        return "\n".join([*lines, f"Deleted {tasks}{lists}.", render_run(structured)])
    lines.append(f"Nothing is deleted yet. This would delete {tasks}, subtasks included:")
    lines += render_tasks(structured["tasks"], structured["zone"])
    if count > len(structured["tasks"]):
        lines.append(f"- … and {count - len(structured['tasks'])} more")
    lines += [f"- the list {quote(name, LIST_NAME_LENGTH)}" for name in structured["lists"]]
    lines.append(
        f"{render_replay(structured)}To delete them, after asking the user: delete_tasks with"
        f" plan_id {structured['plan_id']}, until {structured['expires_at']}."
    )
    return "\n".join(lines)


TOOL = define_tool(
    name=NAME,
    title="Delete tasks",
    description="Two calls: the first returns a plan and deletes nothing; the second, with its"
    " plan_id, deletes. Ask the user in between.",
    run=_run,
    scope="delete",
    effect="removes",
    arguments=_ARGUMENTS,
    result=_RESULT,
    always=[*CLOCK, "status", "plan_id", "count", "run_id"],
)
