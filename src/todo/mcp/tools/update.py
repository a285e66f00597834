"""update_tasks: renames lists, and changes tasks, except due date, recurrence and completion."""

from collections.abc import Sequence

from todo.core.domain import PRIORITIES, Task, TaskChanges
from todo.db.tables import TAG_LENGTH
from todo.mcp.tool import Json, ToolCall, ToolError, ToolResult
from todo.mcp.tools.changed_tasks import ALWAYS, CHANGED
from todo.mcp.tools.definition import define_tool
from todo.mcp.tools.items import Items, is_removed, read_tag
from todo.mcp.tools.schema import array, record, text
from todo.mcp.tools.task_changes import TaskChange, change_tasks
from todo.mcp.tools.write import MAX_TASKS, REPEATABLE, VERSION
from todo.tasks.schemas import TaskUpdate
from todo.text.normalization import normalize_text

NAME = "update_tasks"
_MAX_LISTS = 10

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
                "parent_id": text("Parent task; 'none' for none."),
                "reminders": array("Minutes before due.", {"type": "integer"}),
                **VERSION,
            },
            ["id"],
        ),
        MAX_TASKS,
        min_items=1,
    ),
    "lists": array(
        "Lists to rename.",
        record(
            {"list": text("Name or id."), "name": text("New name."), **VERSION}, ["list", "name"]
        ),
        _MAX_LISTS,
        min_items=1,
    ),
    **REPEATABLE,
}
_PLAIN = ("title", "description", "priority", "reminders")


async def _run(call: ToolCall, arguments: Json) -> ToolResult:
    if "tasks" not in arguments and "lists" not in arguments:
        raise ToolError("update_tasks needs tasks or lists.", "repeat the call with one of them.")
    return await change_tasks(call, NAME, arguments, "Updated", _read)


def _read(item: Json, items: Items, path: str) -> TaskChange:
    fields = {name: item[name] for name in _PLAIN if name in item}
    if "description" in item:
        fields["description"] = item["description"] or None
    if "list" in item:
        goes = is_removed(item["list"])
        fields["list_id"] = None if goes else items.resolve_list(item["list"], f"{path}.list")
    if "parent_id" in item:
        fields["parent_id"] = items.read_parent(item["parent_id"], f"{path}.parent_id")
    changes_tags = "add_tags" in item or "remove_tags" in item
    if not fields and not changes_tags:
        items.add_error(path, "changes nothing; give a field to change")

    def finish(before: Task, attempt: Items) -> TaskChanges:
        tags = _change_tags(before["tags"], item)
        changes: TaskChanges = attempt.validate(TaskUpdate, {"tags": tags}, path)
        return changes

    return TaskChange(items.validate(TaskUpdate, fields, path), finish if changes_tags else None)


def _change_tags(before: Sequence[str], item: Json) -> list[str]:
    given = item.get("remove_tags", ())
    # The name of a tag can start with a quick-add prefix.
    removed = {_normalize(each).casefold() for tag in given for each in (tag, read_tag(tag))}
    kept = [tag for tag in before if tag.casefold() not in removed]
    added = [_normalize(read_tag(tag)) for tag in item.get("add_tags", ())]
    return kept + [tag for tag in added if tag not in kept]


def _normalize(tag: str) -> str:
    return normalize_text(tag.strip(), TAG_LENGTH)


TOOL = define_tool(
    name=NAME,
    title="Update tasks",
    description="Change tasks or rename lists, all or none; for dates and recurrence use"
    " reschedule_tasks.",
    run=_run,
    scope="write",
    effect="changes",
    arguments=_ARGUMENTS,
    removable=("description", "list", "parent_id"),
    elsewhere={
        **dict.fromkeys(("due", "due_date", "due_at", "recurrence"), "reschedule_tasks"),
        **dict.fromkeys(("completed", "is_completed", "status"), "complete_tasks"),
        "tags": "add_tags and remove_tags",
    },
    result=CHANGED,
    always=ALWAYS,
)
