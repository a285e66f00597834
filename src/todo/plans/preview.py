"""Preview of a plan: the changes for review before the plan is applied."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TypedDict

import orjson

from todo.core.domain import Snapshot, get_name
from todo.db.documents import parse_snapshot
from todo.plans.expectation import Predicted, predict
from todo.writes.hash_chain import Entry


class RenderedChange(TypedDict):
    """A change in the preview of a plan."""

    operation: str
    kind: str
    id: str | None
    list_id: str | None
    title: str | None
    before: Snapshot | None
    after: Predicted | None


MAX_SHOWN = 100
"""Maximum number of changes in a preview; the summary counts all changes."""
_MAX_SHOWN_BYTES = 96 * 1024
_EFFECTS = ("list", "share", "task")
"""Kinds of effects by precedence in the preview."""


def render_changes(
    entries: Sequence[Entry], named: Container[int], list_names: Mapping[str, str]
) -> str:
    """Return the changes of the preview, in order, as JSON.

    Changes that the operations name are never omitted, so that a thousand subtasks cannot hide the
    task that is deleted with them. Beyond the size limit they have no `before` and `after`. Effects
    on lists and shares have precedence over effects on tasks. `named` and `list_names` are those of
    the `Outcome`.
    """
    shown: dict[int, bytes] = {}
    size = 0
    ranks = [-1 if at in named else _EFFECTS.index(each.kind) for at, each in enumerate(entries)]
    for index in sorted(range(len(entries)), key=ranks.__getitem__):
        rendered = _render_change(entries[index], list_names)
        change = orjson.dumps(rendered)
        fits = size + len(change) <= _MAX_SHOWN_BYTES
        if index in named:
            if not fits:
                change = orjson.dumps({**rendered, "before": None, "after": None})
        elif not fits or len(shown) >= MAX_SHOWN:
            break
        shown[index] = change
        size += len(change)
    return f"[{b','.join(shown[index] for index in sorted(shown)).decode()}]"


def render_summary(entries: Iterable[Entry]) -> str:
    """Return the number of changes by operation and kind, as JSON."""
    counts = Counter((entry.operation, entry.kind) for entry in entries)
    return orjson.dumps(
        [
            {"operation": operation, "kind": kind, "count": count}
            for (operation, kind), count in counts.items()
        ]
    ).decode()


def _render_change(entry: Entry, list_names: Mapping[str, str]) -> RenderedChange:
    before, after = parse_snapshot(entry.kind, entry.before), predict(entry)
    shown = parse_snapshot(entry.kind, entry.after) or before
    if entry.kind == "share":
        title = None if entry.list_id is None else list_names.get(entry.list_id)
    else:
        title = None if shown is None else get_name(shown)
    return {
        "operation": entry.operation,
        "kind": entry.kind,
        "id": entry.entity_id if before or entry.kind == "share" else None,
        "list_id": entry.list_id,
        "title": title,
        "before": before,
        "after": after,
    }
