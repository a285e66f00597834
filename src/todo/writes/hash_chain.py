"""Hash chain of the entries in an owner's journal.

    commitment = SHA-256(salt || content)
    hash       = SHA-256(hash of the previous entry || chain id || seq || at || commitment)

`content` is everything in an entry about people and tasks; `at` and `seq` are stored separately. If
the content and salt of an entry are erased, its commitment remains. So the chain can be verified
without them, and without the salt the content cannot be guessed by trial. The format is final:
stored journals must stay verifiable.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

GENESIS = b""
"""Hash that precedes an owner's first entry."""

SALT_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Journal entry of one change: actor, operation, entity and time.

    Attributes:
        at: Time in RFC 3339.
        operation: create, update, complete, reopen, delete, remind, restore, share, unshare.
        kind: Kind of `entity_id`: task, list, share, account, token.
        before: Document before the change, as JSON text; None for a creation.
        after: Document after the change, as JSON text; None for a deletion.
    """

    at: str
    actor: str
    operation: str
    kind: str
    entity_id: str
    token_id: str | None = None
    agent: str | None = None
    model: str | None = None
    run_id: str | None = None
    list_id: str | None = None
    before: str | None = None
    after: str | None = None


def open_content(entry: Entry) -> bytes:
    """Return the content of an entry up to its last element, the document `after`."""
    content = orjson.dumps(
        [
            entry.actor,
            entry.token_id,
            entry.agent,
            entry.model,
            entry.run_id,
            entry.operation,
            entry.kind,
            entry.entity_id,
            entry.list_id,
            entry.before,
        ]
    )
    return content.removesuffix(b"]") + b","


def commit(salt: bytes, entry: Entry) -> bytes:
    """Return the commitment to an entry's content."""
    content = open_content(entry) + orjson.dumps(entry.after) + b"]"
    return hashlib.sha256(salt + content).digest()


def write_instant(at: str) -> bytes:
    """Return an RFC 3339 time as eight bytes, which are equal for equal instants."""
    microseconds = (datetime.fromisoformat(at) - _EPOCH) // timedelta(microseconds=1)
    return microseconds.to_bytes(8, signed=True)


def link(previous: bytes, chain_id: UUID, seq: int, at: str, commitment: bytes) -> bytes:
    """Return the hash of an entry, chained to that of the previous entry or to `GENESIS`."""
    place = chain_id.bytes + seq.to_bytes(8) + write_instant(at)
    return hashlib.sha256(previous + place + commitment).digest()
