"""update_tasks: everything of tasks except for due, recurrence and completion."""

from todo.core.errors import ProblemError
from todo.db.tables import TAG_LENGTH
from todo.mcp.tool import Json, ToolCall, ToolResult
from todo.mcp.tools.add import PRIORITIES
from todo.mcp.tools.changed_tasks import ALWAYS, CHANGED, render_changed, show_changed
from todo.mcp.tools.definition import define_tool
from todo.mcp.tools.items import Items, is_removed, open_items, read_tag, run_operations
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
from todo.tasks.document import parse_document
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.schemas import TaskUpdate
from todo.tasks.service import TaskService
from todo.text.normalization import normalize_text
from todo.writes.unit_of_work import UnitOfWork

NAME = "update_tasks"

_ARGUMENTS: Json = {
    "tasks": array(
        "Absent fields stay.",
        record(
            {
                "id": text("Task id."),
                "title": text("New title."),
                "description": text("Empty to remove."),
                "priority": text("Priority.", PRIORITIES),
                "add_tags": array("Tags to add.", {"type": "string"}),
                "remove_tags": array("Tags to remove.", {"type": "string"}),
                "list": text("Name or id; 'none' for no list."),
                "parent_id": text("Task above; 'none' for none."),
                "reminders": array("Minutes before due.", {"type": "integer"}),
                **VERSION,
            },
            ["id"],
        ),
        MAX_TASKS,
        least=1,
    ),
    **REPEATABLE,
}
_PLAIN = ("title", "description", "priority", "reminders")


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
            fields = _read(item, items, path)
            is_valid = len(items.errors) == known
            if is_valid and ("add_tags" in item or "remove_tags" in item):
                try:
                    fields["tags"] = await _change_tags(work, item | {"id": place["id"]})
                except ProblemError as error:
                    items.errors += explain(index, error)
            task = items.validate(TaskUpdate, fields, path)
            operations.append({"op": "update", "task": task, **place})
        raise_for_items(items.errors)
        documents = await run_operations(work, rules, operations)
        return show_changed(items, documents)

    return await run_write(call, NAME, arguments, act, lambda done: render_changed("Updated", done))


def _read(item: Json, items: Items, path: str) -> Json:
    """Return the fields that a task gets, without its tags."""
    fields = {name: item[name] for name in _PLAIN if name in item}
    if "description" in item:
        fields["description"] = item["description"] or None
    if "list" in item:
        goes = is_removed(item["list"])
        fields["list_id"] = None if goes else items.find_list(item["list"], f"{path}.list")
    if "parent_id" in item:
        fields["parent_id"] = items.read_parent(item["parent_id"], f"{path}.parent_id")
    if not fields and "add_tags" not in item and "remove_tags" not in item:
        items.add_error(path, "changes nothing; give a field to change")
    return fields


async def _change_tags(work: UnitOfWork, item: Json) -> list[str]:
    """Return the tags that a task is to have; it is locked, so that they are its tags until then.

    Raises:
        ProblemError: As `TaskService.update`.
    """
    version = item.get("version")
    expected = None if version is None else frozenset({version})
    text = await TaskService(work).get_to_change(item["id"], expected)
    given = item.get("remove_tags", ())
    # Some have a sign in their name.
    removed = {_normalize(each).casefold() for tag in given for each in (tag, read_tag(tag))}
    kept = [tag for tag in parse_document(text)["tags"] if tag.casefold() not in removed]
    added = [_normalize(read_tag(tag)) for tag in item.get("add_tags", ())]
    return kept + [tag for tag in added if tag not in kept]


def _normalize(tag: str) -> str:
    return normalize_text(tag.strip(), TAG_LENGTH)


TOOL = define_tool(
    name=NAME,
    title="Update tasks",
    description="Change tasks, all or none; for dates and recurrence use reschedule_tasks.",
    run=_run,
    scope="write",
    effect="changes",
    arguments=_ARGUMENTS,
    required=["tasks"],
    removable=("description", "list", "parent_id"),
    elsewhere={
        **dict.fromkeys(("due", "due_date", "due_at", "recurrence"), "reschedule_tasks"),
        **dict.fromkeys(("completed", "is_completed", "status"), "complete_tasks"),
        "tags": "add_tags and remove_tags",
    },
    result=CHANGED,
    always=ALWAYS,
)
