"""Preview of a plan: the changes that people and agents read before they apply it."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from todo.plans.expectation import predict
from todo.writes.hash_chain import Entry

MAX_SHOWN = 100
"""Changes that a plan shows; its summary counts all of them."""
_MAX_SHOWN_BYTES = 96 * 1024


def render_changes(entries: Iterable[Entry]) -> str:
    """Return the first changes as JSON: as many as a plan shows."""
    shown: list[bytes] = []
    size = 0
    for entry in entries:
        change = orjson.dumps(_render_change(entry))
        size += len(change)
        if len(shown) == MAX_SHOWN or size > _MAX_SHOWN_BYTES:
            break
        shown.append(change)
    return f"[{b','.join(shown).decode()}]"


def render_summary(entries: Iterable[Entry]) -> str:
    """Return how many changes there are of each operation and kind, as JSON."""
    counts = Counter((entry.operation, entry.kind) for entry in entries)
    return orjson.dumps(
        [
            {"operation": operation, "kind": kind, "count": count}
            for (operation, kind), count in counts.items()
        ]
    ).decode()


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
