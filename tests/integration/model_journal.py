"""The journal of one owner as it is read: whatever it says must follow from what it said before."""

import uuid
from typing import Any

from sqlalchemy import text

from todo.db.statement import Statement
from todo.writes.hash_chain import GENESIS, Entry, commit, link

JOURNAL = Statement(
    text(
        "SELECT seq, CAST(at AS TEXT), actor, token_id, agent, model, run_id, operation, kind,"
        ' entity_id, list_id, "before", "after", salt, commitment, hash'
        " FROM journal WHERE owner = :owner AND seq > :seq ORDER BY seq"
    )
)
_CONTENT = (
    "actor",
    "token_id",
    "agent",
    "model",
    "run_id",
    "operation",
    "kind",
    "entity_id",
    "list_id",
    "before",
    "after",
)


class JournalReader:
    """Follows the chain, and keeps what there is by what the entries say."""

    def __init__(self) -> None:
        self.seq = 0
        self.head = GENESIS
        # Images by kind and id.
        self.told: dict[tuple[str, str], str] = {}

    def follow(self, chain_id: uuid.UUID, row: tuple[Any, ...]) -> Entry:
        """Check one row of `JOURNAL` and return it as an entry."""
        seq, at, *content, salt, commitment, chained = row
        assert seq == self.seq + 1
        values = {k: v if v is None else str(v) for k, v in zip(_CONTENT, content, strict=True)}
        entry = Entry(at=at, **values)  # type: ignore[arg-type]
        assert commit(bytes(salt), entry) == bytes(commitment)
        self.head = link(self.head, chain_id, seq, at, bytes(commitment))
        assert self.head == bytes(chained)
        self.seq = seq
        # What it says was before is what was said last.
        entity = (entry.kind, entry.entity_id)
        assert self.told.pop(entity, None) == entry.before
        assert (entry.before is None) == (entry.operation == "create")
        assert (entry.after is None) == (entry.operation == "delete")
        if entry.after is not None:
            self.told[entity] = entry.after
        return entry
