"""Changes of existing tasks: texts are parsed before the write, tasks are read within it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from todo.core.domain import ListChanges, Task, TaskChanges
from todo.core.errors import ProblemError
from todo.lists.schemas import ListCreate
from todo.lists.service import ListService
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.changed_tasks import render_changed, show_changed
from todo.mcp.tools.items import Items, TargetedTask, open_items, read_items, run_task_operations
from todo.mcp.tools.write import explain, raise_for_items, require_versions, run_tool_write
from todo.tasks.batch import Update, prepare_batch
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class TaskChange:
    """Changes of a task in one item of a call.

    Attributes:
        fields: Fields that do not depend on the current task.
        finish: Function that returns the fields that depend on the current task, which is locked,
            and adds errors to the items. None if there are no such fields.
    """

    fields: TaskChanges
    finish: Callable[[Task, Items], TaskChanges] | None = None


class Renaming(NamedTuple):
    """List to rename, its new name, and its expected version."""

    list_id: str
    name: str
    version: int | None


async def change_tasks(
    call: ToolCall,
    tool: str,
    arguments: Json,
    verb: str,
    read: Callable[[Json, Items, str], TaskChange],
) -> ToolResult:
    """Change all tasks of a call or none, and return the result.

    `verb` starts the text of the result. `read` parses an item and adds its errors to the items.
    """
    given, lists = arguments.get("tasks", []), arguments.get("lists", [])
    require_versions(call.caller, given)
    require_versions(call.caller, lists, "lists")
    rules = RuleEvaluation()
    items = await open_items(call)
    targets = [items.identify(item, f"tasks.{index}") for index, item in enumerate(given)]
    changes = await read_items(rules, read, given, items, TaskChange({}))
    names = _read_lists(items, lists)
    await prepare_batch(rules, [change.fields for change in changes])

    async def write(work: UnitOfWork) -> Json:
        # Each attempt collects its own errors.
        attempt = replace(items, errors=list(items.errors))
        operations: list[Update] = [
            {"op": "update", "task": await _finish(work, attempt, number, target, change), **target}
            for number, (target, change) in enumerate(zip(targets, changes, strict=True))
        ]
        await raise_for_tasks(work, attempt, targets)
        done = await run_task_operations(work, rules, operations)
        renamed = await _rename_lists(work, attempt, names)
        return show_changed(attempt, done) | ({"renamed_lists": renamed} if renamed else {})

    return await run_tool_write(
        call, tool, arguments, write, lambda done: render_changed(verb, done)
    )


def _read_lists(items: Items, given: Sequence[Json]) -> list[Renaming]:
    found = []
    for index, item in enumerate(given):
        path = f"lists.{index}"
        # Errors prevent the write, so the empty ID is never used.
        list_id = items.resolve_list(item["list"], f"{path}.list") or ""
        fields: ListChanges = items.validate(ListCreate, {"name": item["name"]}, path)
        found.append(Renaming(list_id, fields.get("name", ""), item.get("version")))
    return found


async def _rename_lists(work: UnitOfWork, items: Items, given: Sequence[Renaming]) -> list[str]:
    """Rename lists and return their new names; raise a ToolError if one cannot be renamed."""
    for index, item in enumerate(given):
        expected = None if item.version is None else frozenset({item.version})
        try:
            await ListService(work).update(item.list_id, {"name": item.name}, expected)
        except ProblemError as error:
            items.errors += explain(index, error, "lists")
    raise_for_items(items.errors)
    return [item.name for item in given]


async def _finish(
    work: UnitOfWork, items: Items, number: int, target: TargetedTask, change: TaskChange
) -> TaskChanges:
    if change.finish is None or items.is_faulty(number):
        return change.fields
    try:
        task = await _get_to_change(work, target)
    except ProblemError as error:
        items.errors += explain(number, error)
        return {}
    return {**change.fields, **change.finish(task, items)}


async def raise_for_tasks(work: UnitOfWork, items: Items, targets: Sequence[TargetedTask]) -> None:
    """Raise a ToolError if there are errors, including those of tasks that cannot be changed."""
    if not items.errors:
        # The services report tasks that cannot be changed.
        return
    for number, target in enumerate(targets):
        if not items.is_faulty(number):
            try:
                await _get_to_change(work, target)
            except ProblemError as error:
                items.errors += explain(number, error)
    items.errors.sort(key=Items.number_of)
    raise_for_items(items.errors)


async def _get_to_change(work: UnitOfWork, target: TargetedTask) -> Task:
    version = target["if_match"]
    expected = None if version is None else frozenset({version})
    return await TaskService(work).get_to_change(target["id"], expected)
