"""Changes that an undo cannot take back: those of tokens and of the account."""

import orjson

from todo.journal.undo_scope import UndoEntry

UNDOABLE = frozenset({"list", "share", "task"})
"""The kinds of things that can become what they were."""


def separate(chosen: list[UndoEntry]) -> tuple[list[UndoEntry], list[UndoEntry]]:
    """Return what can be undone and what cannot; everything as the first if nothing can be."""
    undone = [entry for entry in chosen if entry.kind in UNDOABLE]
    lasting = [entry for entry in chosen if entry.kind not in UNDOABLE]
    return (undone, lasting) if undone else (chosen, [])


def describe(entry: UndoEntry) -> str:
    """Return what stays, for people."""
    if entry.kind != "token":
        return f"the {entry.kind} stays as it is"
    if entry.operation == "create":
        return "the token stays valid until it is revoked"
    return "the token stays revoked"


def render(entry: UndoEntry) -> bytes:
    """Return a change that is not undone as JSON."""
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
