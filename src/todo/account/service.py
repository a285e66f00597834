"""Account service: sets the time zone and deletes the account."""

from datetime import datetime

import orjson

from todo.account.repository import (
    CHUNK,
    ERASE,
    FIND,
    LAST_OF_CHUNK,
    REMINDED_BY_DAY,
    REMOVALS,
    REMOVE_SHARES,
    SET_ZONE,
    SHARES_WITH,
)
from todo.core.errors import ReadOnlyError
from todo.core.timestamps import format_timestamp
from todo.core.validation_errors import field_error
from todo.db.documents import as_bytes, parse_share, parse_task
from todo.db.session import Session
from todo.schedule.due import check_zone
from todo.tasks.account_zone import DEFAULT_ZONE
from todo.tasks.document import find_fire_times
from todo.tasks.repository import TaskRepository
from todo.writes.unit_of_work import Account, UnitOfWork


async def read_account(session: Session, user: str) -> bytes:
    """Return a user's account as JSON, with defaults before its first change."""
    row = await session.find(FIND, {"owner": user})
    zone, created_at = row or (DEFAULT_ZONE, None)
    return _render(user, zone, created_at)


def _render(user: str, zone: str, created_at: datetime | str | None) -> bytes:
    if isinstance(created_at, datetime):
        created_at = format_timestamp(created_at)
    return orjson.dumps({"user": user, "zone": zone, "created_at": created_at})


class AccountService:
    """Changes to the caller's account, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._user = work.caller.user

    async def set_zone(self, zone: str, expected: frozenset[int] | None = None) -> bytes:
        """Set the time zone, reschedule day-based reminders, and return the account as JSON.

        `expected` are the accepted versions of the account; None accepts all.

        Raises:
            VersionMismatchError: The account has none of the expected versions.
            ValidationFailedError: The zone is unknown.
            ReadOnlyError: The token is restricted to one list.
        """
        self._refuse_list_tokens()
        try:
            check_zone(zone)
        except ValueError as error:
            raise field_error("zone", str(error)) from None
        account, _ = await self._work.lock(self._user)
        account.require_version(expected)
        if account.zone != zone:
            before, account.zone = account.zone, zone
            await self._work.session.run((SET_ZONE, {"of": self._user, "zone": zone}))
            await self._move_reminders(zone)
            self._record("update", _show(before), _show(zone))
        return await read_account(self._work.session, self._user)

    async def delete(self, expected: frozenset[int] | None = None) -> None:
        """Delete the account's data and erase the contents of its journal.

        The time zone, the hash chain with its timestamps and the cutoff of tokens remain, and so
        do the user's changes in the journals of other users. `expected` is as for `set_zone`.

        Raises:
            VersionMismatchError: The account has none of the expected versions.
            ReadOnlyError: The token is restricted to one list.
        """
        self._refuse_list_tokens()
        account, _ = await self._work.lock(self._user)
        account.require_version(expected)
        await self._leave_lists()
        mine = {"owner": self._user}
        for statement in REMOVALS:
            while len(await self._work.session.fetch(statement, mine)) == CHUNK:
                pass
        await self._erase(account)
        # This chained entry proves that the content was erased and not altered.
        self._record("delete", None, None)

    def _refuse_list_tokens(self) -> None:
        if self._work.caller.list_id is not None:
            raise ReadOnlyError(
                "This token is restricted to one list and cannot access the account."
            )

    async def _move_reminders(self, zone: str) -> None:
        session = self._work.session
        store = TaskRepository(session, self._work.caller)
        after: str | None = None
        while True:
            values = {"owner": self._user, "after": after}
            rows, last = await session.run((REMINDED_BY_DAY, values), (LAST_OF_CHUNK, values))
            for (text,) in rows:
                task = parse_task(text)
                times = find_fire_times(task, zone, self._work.now)
                await session.run(*store.remind(task, times))
            if not last:
                break
            after = str(last[0][0])

    async def _leave_lists(self) -> None:
        """Remove the user's shares of others' lists and record that in the owners' journals."""
        rows = await self._work.session.fetch(SHARES_WITH, {"owner": self._user})
        for text, owner in rows:
            # Rows are sorted by owner, so that concurrent deletions do not deadlock.
            await self._work.lock(owner)
            self._work.record(
                owner,
                "unshare",
                "share",
                self._user,
                list_id=parse_share(text)["list_id"],
                before=as_bytes(text),
            )
        await self._work.session.run((REMOVE_SHARES, {"owner": self._user}))

    async def _erase(self, account: Account) -> None:
        for above in range(0, account.seq, CHUNK):
            values = {"of": self._user, "above": above, "until": min(above + CHUNK, account.seq)}
            await self._work.session.run((ERASE, values))

    def _record(self, operation: str, before: bytes | None, after: bytes | None) -> None:
        self._work.record(self._user, operation, "account", self._user, before=before, after=after)


def _show(zone: str) -> bytes:
    document = {"zone": zone}
    return orjson.dumps(document)
