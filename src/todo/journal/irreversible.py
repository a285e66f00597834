"""Changes that cannot be undone: those of tokens and of the account."""

import orjson

from todo.journal.undo_scope import UndoEntry

UNDOABLE = frozenset({"list", "share", "task"})
"""Kinds of entities whose changes can be undone."""


def separate(chosen: list[UndoEntry]) -> tuple[list[UndoEntry], list[UndoEntry]]:
    """Split entries into undoable and other ones; if none is undoable, return all and no others."""
    undone = [entry for entry in chosen if entry.kind in UNDOABLE]
    lasting = [entry for entry in chosen if entry.kind not in UNDOABLE]
    return (undone, lasting) if undone else (chosen, [])


def describe(entry: UndoEntry) -> str:
    """Return a message about a change that cannot be undone."""
    if entry.kind != "token":
        return f"the change of the {entry.kind} cannot be undone"
    if entry.operation == "create":
        return "creating a token cannot be undone; revoke the token instead"
    return "revoking a token cannot be undone"


def render(entry: UndoEntry) -> bytes:
    """Return a change that cannot be undone as JSON."""
    return orjson.dumps(
        {
            "seq": entry.seq,
            "at": entry.at,
            "operation": entry.operation,
            "kind": entry.kind,
            "id": entry.entity_id,
            "message": describe(entry),
        }
    )
