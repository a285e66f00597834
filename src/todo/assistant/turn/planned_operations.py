"""Derivation of a plan's operations from the journal entries of a rejected write.

The entries show what any tool would have changed. Side effects, such as the next task of a series
or subtasks that move along, are left out: the operations cause them again.
"""

from collections.abc import Iterable, Mapping, Sequence

from todo.core.domain import NewTask, Task, TaskChanges
from todo.db.documents import parse_task
from todo.tasks.batch import Operation
from todo.tasks.document import has_other, select_fields
from todo.writes.hash_chain import Entry

_PLAIN = ("title", "description", "priority", "tags", "list_id", "parent_id", "reminders")
_RULE = ("recurrence", "recurrence_from")
_DUE = ("due_date", "due_at", "due_zone")
_EMPTY: tuple[object, ...] = (None, [], "none")


def derive_operations(recorded: Sequence[tuple[str, Entry]]) -> list[Operation]:
    """Return the operations that lead to the recorded changes, all of which concern tasks."""
    entries = [entry for _, entry in recorded]
    deleted = {entry.entity_id for entry in entries if entry.operation == "delete"}
    moved = {entry.entity_id for entry in entries if _is_moved(entry)}
    operations: list[Operation] = []
    for entry in entries:
        before, after, task_id = find_task(entry.before), find_task(entry.after), entry.entity_id
        if before is None:
            if entry.operation == "create" and after is not None and not after["previous_id"]:
                operations.append({"op": "create", "task": _describe_new(after)})
            continue
        version = before["version"]
        match entry.operation:
            case "complete":
                operations.append({"op": "complete", "id": task_id, "if_match": version})
            case "reopen":
                operations.append({"op": "reopen", "id": task_id, "if_match": version})
            case "delete" if before["parent_id"] not in deleted:
                operations.append({"op": "delete", "id": task_id, "if_match": version})
            case "update" if after is not None and not (
                _is_moved(entry) and before["parent_id"] in moved
            ):
                changes = _compare(before, after)
                operations.append(
                    {"op": "update", "task": changes, "id": task_id, "if_match": version}
                )
    return operations


def join_operations(parts: Iterable[Sequence[Operation]]) -> list[Operation]:
    """Return the operations of several writes as those of one plan.

    Duplicates are left out. Only the first operation on a task has an `if_match`, because it
    changes the version.
    """
    joined: list[Operation] = []
    seen: set[str] = set()
    for operation in (each for part in parts for each in part):
        if operation in joined:
            continue
        joined.append(operation)
        if "id" in operation:
            if operation["id"] in seen:
                joined[-1] = without_version = operation.copy()
                without_version["if_match"] = None
            seen.add(operation["id"])
    return joined


def _describe_new(after: Task) -> NewTask:
    values: Mapping[str, object] = after
    names = [name for name in (*_PLAIN, *_DUE) if values[name] not in _EMPTY]
    fields: NewTask = select_fields(
        after, names if after["recurrence"] is None else [*names, *_RULE]
    )
    return fields


def _compare(before: Task, after: Task) -> TaskChanges:
    """Return the changed fields of an update."""
    olds: Mapping[str, object] = before
    news: Mapping[str, object] = after
    names = [name for name in (*_PLAIN, *_RULE) if olds[name] != news[name]]
    due: list[str] = []
    if has_other(after, before, _DUE):
        due = [name for name in _DUE if news[name] is not None] or ["due_date", "due_at"]
    fields: TaskChanges = select_fields(after, [*names, *due])
    return fields


def _is_moved(entry: Entry) -> bool:
    before, after = find_task(entry.before), find_task(entry.after)
    return before is not None and after is not None and before["list_id"] != after["list_id"]


def find_task(document: str | None) -> Task | None:
    """Return the task in a document of the journal; None without a document."""
    return None if document is None else parse_task(document)
