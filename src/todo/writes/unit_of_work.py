"""Unit of work: a transaction, its caller, and the changes to be recorded in journals.

Every write first locks the owner's account. So the writes of one owner are serialized, and the
sequence numbers of the journal have no gaps and follow the order of the commits.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import InitVar, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, insert, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from todo.core.caller import Caller
from todo.core.errors import VersionMismatchError
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.db.statement import SQLITE, BoundStatement, Row, Statement
from todo.db.tables import account, journal
from todo.writes.account_lock import LOCKING
from todo.writes.append import entry_values
from todo.writes.hash_chain import GENESIS, SALT_BYTES, Entry, commit, link
from todo.writes.storage_quota import StorageQuota, Stored
from todo.writes.write_limit import charge

_LOCK = Statement(LOCKING)

_ADVANCED = (
    update(account)
    .where(account.c.owner == bindparam("owner"))
    .values({name: bindparam(name) for name in ("seq", "hash", "tasks", "size")})
)
_APPENDED = insert(journal).values({c.name: bindparam(c.name) for c in journal.columns})
_APPEND = Statement(_APPENDED)
_ADVANCE = Statement(_ADVANCED)
_SAVE = Statement(text("SAVEPOINT dry_run"))
_TAKE_BACK = Statement(text("ROLLBACK TO SAVEPOINT dry_run"))
_RELEASE = Statement(text("RELEASE SAVEPOINT dry_run"))
# SQLite does not support INSERT in a CTE, and has no round trip to save.
_APPEND_AND_ADVANCE = Statement(_ADVANCED.add_cte(_APPENDED.cte("appended")))


def _open_account(dialect: str) -> Any:  # noqa: ANN401 - each dialect has its own insert
    make = sqlite_insert if dialect == SQLITE else postgresql_insert
    values: dict[str, Any] = {column.name: bindparam(column.name) for column in account.columns}
    return make(account).values(values).on_conflict_do_nothing(index_elements=["owner"])


_OPEN = Statement(_open_account)


@dataclass(slots=True)
class Account:
    """Locked account of an owner; the first fields are the columns of `LOCKED`.

    The `entries` are not yet appended; `request_seq` is the number of the first entry of the unit
    of work.
    """

    zone: str
    chain_id: UUID
    seq: int
    hash: bytes
    tasks: InitVar[int | None]
    size: InitVar[int | None]
    stored: Stored = field(init=False)
    entries: list[Entry] = field(default_factory=list)
    request_seq: int = 0

    def __post_init__(self, tasks: int | None, size: int | None) -> None:
        """Convert the columns; SQLite returns the chain ID as text."""
        self.stored = Stored(tasks, size)
        if isinstance(self.chain_id, str):
            self.chain_id = UUID(self.chain_id)
        self.request_seq = self.request_seq or self.seq + 1

    def require_version(self, expected: frozenset[int] | None) -> None:
        """Check that the number of the account's last change is one of `expected`, if given.

        Raises:
            VersionMismatchError: The account has another version.
        """
        if expected is not None and self.seq not in expected:
            raise VersionMismatchError


class UnitOfWork:
    """Transaction of one request, with the changes that it records, all at the same time `now`."""

    def __init__(
        self,
        session: Session,
        caller: Caller,
        now: datetime | None = None,
        quota: StorageQuota | None = None,
    ) -> None:
        self._quota = quota
        self.session = session
        self.caller = caller
        self.now = now or datetime.now(UTC)
        self.timestamp = format_timestamp(self.now)
        self._accounts: dict[str, Account] = {}
        self._recorded: list[tuple[str, Entry]] = []
        self._last: list[BoundStatement] = []
        self._callbacks: list[Callable[[], None]] = []

    @property
    def recorded(self) -> list[tuple[str, Entry]]:
        """Recorded entries, each with the owner of its journal."""
        return self._recorded

    @property
    def changed(self) -> set[str]:
        """Owners of the journals that get new entries."""
        return {owner for owner, _ in self._recorded}

    @property
    def operations(self) -> list[str]:
        """Operation of each recorded entry."""
        return [entry.operation for _, entry in self._recorded]

    async def lock(self, owner: str, *calls: BoundStatement) -> tuple[Account, list[list[Row]]]:
        """Lock an account and run `calls` in one round trip; return the account and the results.

        An account is created on its first use.

        Raises:
            AccountBusyError: Too many connections already wait for the account's lock.
        """
        if found := self._accounts.get(owner):
            return found, await self.session.run(*calls) if calls else []
        await self.session.admit(owner)
        lock = (_LOCK, {"owner": owner})
        (rows, *others) = await self.session.run(lock, *calls)
        if not rows:
            values = {
                "owner": owner,
                "zone": "UTC",
                "chain_id": str(uuid4()),
                "seq": 0,
                "hash": GENESIS,
                "created_at": self.timestamp,
                "tasks": 0,
                "size": 0,
            }
            _, rows = await self.session.run((_OPEN, values), lock)
        self._accounts[owner] = locked = Account(*rows[0])
        return locked, others

    async def execute_and_record(
        self, owner: str, call: BoundStatement, operation: str, kind: str, entity_id: str
    ) -> bytes | None:
        """Lock an account, create an entity and record that, in one statement; return the document.

        The statement in `call` comes from `todo.writes.append.appending`; its parameters `owner`
        and `list_id` are also those of the entry. If the database is SQLite, or if the account is
        already locked or does not exist, nothing is done and None is returned.

        Raises:
            AccountBusyError: Too many connections already wait for the account's lock.
        """
        if self.session.dialect == SQLITE or owner in self._accounts:
            return None
        await self.session.admit(owner)
        statement, values = call
        entry = self._describe(operation, kind, entity_id, list_id=values["list_id"])
        recorded = entry_values(entry, os.urandom(SALT_BYTES))
        row = await self.session.find(statement, {**values, **recorded})
        if row is None:
            return None
        *columns, after = row
        locked = self._accounts[owner] = Account(*columns)
        # The account's number already includes this entry.
        locked.request_seq = locked.seq
        self._recorded.append((owner, replace(entry, after=after)))
        written: bytes = after.encode()
        locked.stored.count_growth(operation, 1, len(written))
        return written

    def record(
        self,
        owner: str,
        operation: str,
        kind: str,
        entity_id: str,
        *,
        list_id: str | None = None,
        before: bytes | None = None,
        after: bytes | None = None,
    ) -> None:
        """Record one change for the journal of an owner, whose account must be locked."""
        entry = self._describe(
            operation,
            kind,
            entity_id,
            list_id=list_id,
            before=None if before is None else before.decode(),
            after=None if after is None else after.decode(),
        )
        locked = self._accounts[owner]
        locked.entries.append(entry)
        locked.stored.count_change(operation, kind, before, after)
        self._recorded.append((owner, entry))

    def _describe(self, operation: str, kind: str, entity_id: str, **more: str | None) -> Entry:
        caller = self.caller
        return Entry(
            at=self.timestamp,
            actor=caller.user,
            token_id=caller.token_id,
            agent=caller.agent,
            model=caller.model,
            run_id=caller.run_id,
            operation=operation,
            kind=kind,
            entity_id=entity_id,
            **more,
        )

    def before_commit(self, *calls: BoundStatement) -> None:
        """Add statements that run right before the commit."""
        self._last += calls

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Add a function that is called after the commit."""
        self._callbacks.append(callback)

    @contextlib.asynccontextmanager
    async def dry_run(self) -> AsyncIterator["UnitOfWork"]:
        """Run the block with a nested unit of work, and roll its changes back at the end.

        The nested unit of work locks accounts and checks the quota by itself. If the block raises
        an error, the caller must end the whole transaction.

        Raises:
            QuotaExceededError: An account would exceed its storage quota.
        """
        attempt = UnitOfWork(self.session, self.caller, self.now, self._quota)
        await self.session.run((_SAVE, {}))
        yield attempt
        await attempt._check_quota()
        await self.session.run((_TAKE_BACK, {}), (_RELEASE, {}))

    async def flush(self) -> None:
        """Append the recorded entries to their journals now, to free the memory that they use."""
        self._recorded.clear()
        for owner, locked in self._accounts.items():
            if locked.entries:
                rows = _chain(owner, locked)
                locked.entries.clear()
                await self.session.run_many(_APPEND, rows)
                await self.session.run((_ADVANCE, _head(rows[-1])))

    async def commit(self) -> None:
        """Append the recorded entries to their journals, and commit.

        Raises:
            RateLimitedError: The token would exceed its changes per hour.
            QuotaExceededError: An account would exceed its storage quota.
        """
        await charge(self.session, self.caller, len(self.operations), self.now)
        calls = await self._check_quota()
        for owner, locked in self._accounts.items():
            if locked.entries:
                calls += _append(_chain(owner, locked), self.session.dialect)
        await self.session.commit(*calls, *self._last)
        for callback in self._callbacks:
            callback()

    async def _check_quota(self) -> list[BoundStatement]:
        calls: list[BoundStatement] = []
        if self._quota is not None:
            for owner, locked in self._accounts.items():
                calls += await self._quota.check(self.session, owner, locked.stored)
        return calls


def _append(rows: list[dict[str, Any]], dialect: str) -> list[BoundStatement]:
    *others, last = rows
    calls: list[BoundStatement] = [(_APPEND, row) for row in others]
    if dialect == SQLITE:
        return [*calls, (_APPEND, last), (_ADVANCE, _head(last))]
    return [*calls, (_APPEND_AND_ADVANCE, last)]


def _head(last: dict[str, Any]) -> dict[str, Any]:
    return {name: last[name] for name in ("owner", "seq", "hash", "tasks", "size")}


def _chain(owner: str, locked: Account) -> list[dict[str, Any]]:
    """Number and hash the entries of an account, and return their rows."""
    rows = []
    for entry in locked.entries:
        salt = os.urandom(SALT_BYTES)
        commitment = commit(salt, entry)
        locked.seq += 1
        locked.hash = link(locked.hash, locked.chain_id, locked.seq, entry.at, commitment)
        values = {name: getattr(entry, name) for name in Entry.__slots__}
        values |= {
            "owner": owner,
            "seq": locked.seq,
            "request_seq": locked.request_seq,
            "salt": salt,
            "commitment": commitment,
            "hash": locked.hash,
            "tasks": locked.stored.tasks,
            "size": locked.stored.size,
        }
        rows.append(values)
    return rows
