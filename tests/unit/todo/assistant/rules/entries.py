"""Entries of a journal about one task."""

from typing import Any

import orjson

from todo.tasks.validation import make_task
from todo.writes.hash_chain import Entry

DOCUMENT = make_task({"id": "t", "title": "x"}, "ann", "2027-01-01T00:00:00.000000+00:00")
DOCUMENT["version"] = 3


def make_entry(
    operation: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    entity: str = "t",
    kind: str = "task",
) -> Entry:
    """Return an entry whose documents have these fields; None for no document."""

    def dump(fields: dict[str, Any] | None) -> str | None:
        return None if fields is None else orjson.dumps({**DOCUMENT, **fields}).decode()

    return Entry(
        at="2027-01-01T00:00:00.000000+00:00",
        actor="ann",
        operation=operation,
        kind=kind,
        entity_id=entity,
        before=dump(before),
        after=dump(after),
    )
