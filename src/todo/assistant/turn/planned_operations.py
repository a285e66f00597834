"""Operations of a plan, derived from the changes that a refused write was about to record.

The journal says what would have happened, whichever tool it was, so the plan describes the same. An
effect, such as the next task of a series or a subtask that follows, comes out again by itself.
"""

from collections.abc import Iterable, Sequence

import orjson

from todo.mcp.tool import Json
from todo.writes.hash_chain import Entry

_PLAIN = ("title", "description", "priority", "tags", "list_id", "parent_id", "reminders")
_RULE = ("recurrence", "recurrence_from")
_DUE = ("due_date", "due_at", "due_zone")
_NO_DUE: Json = {"due_date": None, "due_at": None}
_EMPTY: tuple[object, ...] = (None, [], "none")


def derive_operations(recorded: Sequence[tuple[str, Entry]]) -> list[Json]:
    """Return the operations that lead to the same changes."""
    entries = [entry for _, entry in recorded]
    deleted = {entry.entity_id for entry in entries if entry.operation == "delete"}
    moved = {entry.entity_id for entry in entries if _is_moved(entry)}
    operations: list[Json] = []
    for entry in entries:
        before, after = read_document(entry.before), read_document(entry.after)
        of_task = {"id": entry.entity_id, "if_match": before.get("version")}
        match entry.operation:
            case "create" if not after.get("previous_id"):
                operations.append({"op": "create", "task": _describe_new(after)})
            case "complete" | "reopen":
                operations.append({"op": entry.operation, **of_task})
            case "delete" if before.get("parent_id") not in deleted:
                operations.append({"op": "delete", **of_task})
            case "update" if not (_is_moved(entry) and before["parent_id"] in moved):
                operations.append({"op": "update", "task": _compare(before, after), **of_task})
    return operations


def join_operations(parts: Iterable[Sequence[Json]]) -> list[Json]:
    """Return the operations of several writes as those of one plan.

    A task that comes twice has another version after the first of its operations. An operation that
    comes twice is meant once.
    """
    joined: list[Json] = []
    seen: set[str] = set()
    for operation in (each for part in parts for each in part):
        if operation in joined:
            continue
        task_id = operation.get("id")
        joined.append({**operation, "if_match": None} if task_id in seen else operation)
        if task_id is not None:
            seen.add(task_id)
    return joined


def _describe_new(after: Json) -> Json:
    fields = {name: after[name] for name in (*_PLAIN, *_DUE) if after[name] not in _EMPTY}
    if after["recurrence"] is not None:
        fields |= {name: after[name] for name in _RULE}
    return fields


def _compare(before: Json, after: Json) -> Json:
    """Return the fields of an update."""
    names = (*_PLAIN, *_RULE)
    fields = {name: after[name] for name in names if before[name] != after[name]}
    if any(before[name] != after[name] for name in _DUE):
        due = {name: after[name] for name in _DUE if after[name] is not None}
        fields |= due or _NO_DUE
    return fields


def _is_moved(entry: Entry) -> bool:
    before, after = read_document(entry.before), read_document(entry.after)
    return bool(before and after and before["list_id"] != after["list_id"])


def read_document(document: str | None) -> Json:
    """Return a document of the journal; an empty one for what was not there."""
    found: Json = orjson.loads(document) if document else {}
    return found
