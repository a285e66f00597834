"""Preview of a plan: the changes that people and agents read before they apply it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson

from todo.plans.expectation import predict
from todo.writes.hash_chain import Entry

MAX_SHOWN = 100
"""Changes that a plan shows; its summary counts all of them."""
_MAX_SHOWN_BYTES = 96 * 1024


def render_changes(entries: Sequence[Entry], named: Collection[str]) -> str:
    """Return changes in their order as JSON: as many as a plan shows.

    Changes that the operations ask for have precedence over their effects: a thousand subtasks do
    not hide the task that is deleted with them, nor a list that is shared.

    Args:
        entries: All changes.
        named: Ids that the operations name.
    """
    shown: dict[int, bytes] = {}
    size = 0
    for place in sorted(range(len(entries)), key=lambda at: _is_effect(entries[at], named)):
        change = orjson.dumps(_render_change(entries[place]))
        size += len(change)
        if len(shown) == MAX_SHOWN or size > _MAX_SHOWN_BYTES:
            break
        shown[place] = change
    return f"[{b','.join(shown[place] for place in sorted(shown)).decode()}]"


def render_summary(entries: Iterable[Entry]) -> str:
    """Return how many changes there are of each operation and kind, as JSON."""
    counts = Counter((entry.operation, entry.kind) for entry in entries)
    return orjson.dumps(
        [
            {"operation": operation, "kind": kind, "count": count}
            for (operation, kind), count in counts.items()
        ]
    ).decode()


def _is_effect(entry: Entry, named: Collection[str]) -> bool:
    if entry.kind != "task" or entry.entity_id in named:
        return False
    if entry.before is None and entry.after is not None:
        # The next occurrence of a task that was completed.
        return orjson.loads(entry.after).get("previous_id") is not None
    return True


def _render_change(entry: Entry) -> dict[str, Any]:
    before = orjson.loads(entry.before) if entry.before else None
    after = predict(entry)
    shown: dict[str, Any] = after or before or {}
    return {
        "operation": entry.operation,
        "kind": entry.kind,
        "id": entry.entity_id if before or entry.kind == "share" else None,
        "list_id": entry.list_id,
        "title": shown.get("title") or shown.get("name"),
        "before": before,
        "after": after,
    }
