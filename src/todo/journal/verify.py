"""Verification of journals: finds entries that were altered, removed or inserted.

Each entry is checked against its own commitment and the hash of the previous entry. Entries are
fetched in pages to limit memory. Anyone who can write to the database could recompute a whole
chain, or remove its end together with the account's head: only an exported head reveals that.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.sql.elements import ColumnElement

from todo.db.session import Session
from todo.db.statement import Row, Statement
from todo.db.tables import account, journal
from todo.journal.checkpoints import Head
from todo.journal.reconcile import find_differences
from todo.writes.hash_chain import GENESIS, Entry, commit, link

PAGE = 2000

_OWNER: ColumnElement[str] = bindparam("owner")
_CONTENT = (
    journal.c.actor,
    journal.c.token_id,
    journal.c.agent,
    journal.c.model,
    journal.c.run_id,
    journal.c.operation,
    journal.c.kind,
    journal.c.entity_id,
    journal.c.list_id,
    journal.c.before,
    journal.c.after,
)
_COLUMNS = (
    "actor, token_id, agent, model, run_id, operation, kind, entity_id, list_id, documents, salt"
)
_PAGE = Statement(
    select(
        journal.c.seq,
        journal.c.at,
        journal.c.salt,
        journal.c.commitment,
        journal.c.hash,
        *_CONTENT,
    )
    .where(journal.c.owner == _OWNER, journal.c.seq > bindparam("after"))
    .order_by(journal.c.seq)
    .limit(bindparam("limit"))
)
_HEAD = Statement(
    select(account.c.chain_id, account.c.seq, account.c.hash).where(account.c.owner == _OWNER)
)
_of_account = select(func.min(account.c.owner).label("owner")).where(
    account.c.owner > bindparam("after")
)
# Owners with journal entries but without an account are included, because each is a finding.
_of_journal = select(func.min(journal.c.owner)).where(journal.c.owner > bindparam("after"))
_both = _of_account.union_all(_of_journal).subquery("both")
_NEXT_OWNER = Statement(select(func.min(_both.c.owner)))


class JournalReader(Protocol):
    """Source of journals, such as `todo.db.database.Database`."""

    def reading(self) -> AbstractAsyncContextManager[Session]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Finding of the verification; `seq` is 0 if it concerns no specific entry."""

    owner: str
    seq: int
    what: str

    def __str__(self) -> str:
        place = f", entry {self.seq}" if self.seq else ""
        return f"{self.owner!r}{place}: {self.what}"


@dataclass(slots=True)
class VerificationResult:
    """Result of a verification; `heads` are those of the journals without findings."""

    entries: int = 0
    heads: list[Head] = field(default_factory=list)
    findings: list[Mismatch] = field(default_factory=list)


async def verify(
    source: JournalReader,
    *,
    owner: str | None = None,
    heads: Mapping[str, Head] | None = None,
    with_state: bool = False,
) -> AsyncIterator[VerificationResult]:
    """Verify the journal of one owner, or all journals, and yield the result of each.

    `heads` are previously exported heads by owner. `with_state` also compares the tasks with their
    journal.
    """
    heads = heads or {}
    if owner is not None:
        yield await _verify_one(source, owner, heads.get(owner), with_state=with_state)
        return
    seen = set()
    async for each in _owners(source):
        seen.add(each)
        yield await _verify_one(source, each, heads.get(each), with_state=with_state)
    for each in sorted(heads.keys() - seen):
        yield VerificationResult(
            findings=[Mismatch(each, 0, "the journal of the exported head is missing")]
        )


async def is_known(source: JournalReader, owner: str) -> bool:
    """Return whether an owner has an account, or journal entries without an account."""
    async with source.reading() as session:
        entries = {"owner": owner, "after": -1, "limit": 1}
        return bool(
            await session.find(_HEAD, {"owner": owner}) or await session.fetch(_PAGE, entries)
        )


async def _owners(source: JournalReader) -> AsyncIterator[str]:
    last = ""
    while True:
        async with source.reading() as session:
            row = await session.find(_NEXT_OWNER, {"after": last})
        if row is None or row[0] is None:
            return
        last = row[0]
        yield last


async def _verify_one(
    source: JournalReader, owner: str, exported: Head | None, *, with_state: bool
) -> VerificationResult:
    result = VerificationResult()
    async with source.reading() as session:
        row = await session.find(_HEAD, {"owner": owner})
    if row is None:
        what = "the journal does not exist" if exported is None else "the journal is missing"
        result.findings.append(Mismatch(owner, 0, what))
        return result
    chain = Chain(owner, UUID(str(row[0])), exported, result)
    while True:
        async with source.reading() as session:
            rows = await session.fetch(_PAGE, {"owner": owner, "after": chain.seq, "limit": PAGE})
        for each in rows:
            chain.check(each)
        if len(rows) < PAGE:
            break
    async with source.reading() as session:
        await _check_end(session, chain)
        if with_state:
            result.findings += [
                Mismatch(owner, seq, what) async for seq, what in find_differences(session, owner)
            ]
    if not result.findings:
        result.heads.append(Head(owner, str(chain.chain_id), chain.seq, chain.stored.hex()))
    return result


async def _check_end(session: Session, chain: "Chain") -> None:
    """Compare the end of the chain with the account's row, while writes may continue."""
    values = {"owner": chain.owner}
    (head,) = await session.fetch(_HEAD, values)
    chain.expect(int(head[1]), bytes(head[2]))
    rows = await session.fetch(_PAGE, {**values, "after": chain.seq, "limit": PAGE})
    for each in rows:
        chain.check(each)
    (head,) = await session.fetch(_HEAD, values)
    chain.finish(int(head[1]))


class Chain:
    """Verification of one chain, entry by entry."""

    def __init__(
        self, owner: str, chain_id: UUID, exported: Head | None, result: VerificationResult
    ) -> None:
        self.owner = owner
        self.chain_id = chain_id
        self.seq = 0
        self.stored = GENESIS
        self._computed = GENESIS
        self._result = result
        self._exported = exported
        self._expected: tuple[int, bytes] | None = None
        # Numbers of entries without content, until a deletion of the account explains them.
        self._erased: list[int] = []
        if exported is not None and exported.chain_id != str(chain_id):
            self._add(0, "the chain differs from that of the exported head")

    def check(self, row: Row) -> None:
        """Check the next entry."""
        seq, at, salt, commitment, stored, *content = row
        commitment, stored = bytes(commitment), bytes(stored)
        self._result.entries += 1
        follows = self._check_number(seq)
        if salt is None and not any(content):
            self._erased.append(seq)
        else:
            self._check_content(seq, salt, commitment, content)
        at = at.isoformat() if isinstance(at, datetime) else at
        self._computed = self._check_link(seq, at, commitment, stored, follows=follows)
        self.seq, self.stored = seq, stored
        exported = self._exported
        if exported is not None and seq == exported.seq and stored.hex() != exported.hash:
            self._add(seq, "the chain up to here was rewritten after its head was exported")
        self._compare_expected()

    def expect(self, seq: int, head: bytes) -> None:
        """Set the number and hash that the account's row has for the last entry."""
        self._expected = (seq, head)
        self._compare_expected()

    def finish(self, seq: int) -> None:
        """Check the end of the chain; `seq` is the account's number, fetched after the entries."""
        if self._expected is not None and self._expected[0] > self.seq:
            self._add(self.seq + 1, _missing(self.seq + 1, self._expected[0]))
        elif seq < self.seq:
            self._add(seq + 1, "was inserted: the account's last entry is before it")
        exported = self._exported
        if exported is not None and exported.seq > self.seq:
            what = f"the journal ends here, but its exported head is entry {exported.seq}"
            self._add(self.seq, what)
        if self._erased:
            what = f"the content was erased ({len(self._erased)} entries), but not the account"
            self._add(self._erased[0], what)

    def _compare_expected(self) -> None:
        seq, head = self._expected or (0, self.stored)
        if seq == self.seq and head != self.stored:
            self._add(seq, "the account's hash of its last entry differs")

    def _check_number(self, seq: int) -> bool:
        if seq != self.seq + 1:
            self._add(self.seq + 1, _missing(self.seq + 1, seq - 1))
        return seq == self.seq + 1

    def _check_content(
        self, seq: int, salt: bytes | None, commitment: bytes, content: list[Any]
    ) -> None:
        values: dict[str, Any] = {
            column.name: value if isinstance(value, str | None) else str(value)
            for column, value in zip(_CONTENT, content, strict=True)
        }
        if salt is None or commit(bytes(salt), Entry(at="", **values)) != commitment:
            self._add(seq, f"the content ({_COLUMNS}) or its commitment was altered")
        elif (values["operation"], values["kind"]) == ("delete", "account"):
            self._erased.clear()

    def _check_link(
        self, seq: int, at: str, commitment: bytes, stored: bytes, *, follows: bool
    ) -> bytes:
        """Check the hash of an entry, and return the correct hash."""
        try:
            computed = link(self.stored, self.chain_id, seq, at, commitment)
        except (ValueError, TypeError, OverflowError):
            self._add(seq, "the time was altered: it is not a time")
            return stored
        if computed == stored or not follows:
            return computed
        # If the previous hash was altered, that is already a finding; this entry may still follow
        # from the original hash.
        if link(self._computed, self.chain_id, seq, at, commitment) == stored:
            return stored
        self._add(seq, "the chain is broken: the time, the commitment or the hash was altered")
        return computed

    def _add(self, seq: int, what: str) -> None:
        self._result.findings.append(Mismatch(self.owner, seq, what))


def _missing(first: int, last: int) -> str:
    return "is missing" if first == last else f"is missing, and all up to {last}"
