"""Revocation of JSON Web Tokens: for each user, tokens issued up to a cutoff are rejected.

The service has no list of issued tokens, so an operator revokes all tokens of a user at once. There
are few cutoffs; each process caches them and reads new ones every few seconds.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import String, bindparam, literal_column, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from todo.auth.tokens import refuse
from todo.core.caller import Caller
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.db.statement import SQLITE, BoundStatement, Row, Statement
from todo.db.tables import Time, token_cutoff

MAX_AGE_S = 5.0
"""Maximum delay in seconds until a process applies a new cutoff."""

_PAGE = 1000
# A new cutoff may be older than known ones if it is stored late, or if a host's clock is wrong.
_OVERLAP = timedelta(days=1)
_FOREVER = "9999-12-31T00:00:00.000000+00:00"
_of = token_cutoff.c
_AFTER = bindparam("after", type_=Time)
_NEWER = Statement(
    select(_of.user_id, _of.cutoff_at)
    # With only one bound, PostgreSQL would expect a third of the table and scan it all.
    .where(_of.cutoff_at.between(_AFTER, bindparam("until", type_=Time)))
    .where((_of.cutoff_at > _AFTER) | (_of.user_id > bindparam("after_user", type_=String)))
    .order_by(_of.cutoff_at, _of.user_id)
    .limit(literal_column(str(_PAGE)))
)
_FIND = Statement(select(_of.cutoff_at).where(_of.user_id == bindparam("user", type_=String)))


def _upsert(dialect: str) -> Any:  # noqa: ANN401 - each dialect has its own insert
    make = sqlite_insert if dialect == SQLITE else postgresql_insert
    new = make(token_cutoff).values(user_id=bindparam("user_id"), cutoff_at=bindparam("cutoff_at"))
    return new.on_conflict_do_update(
        index_elements=["user_id"],
        set_={"cutoff_at": new.excluded.cutoff_at},
        where=token_cutoff.c.cutoff_at < new.excluded.cutoff_at,
    )


_SET = Statement(_upsert)


class CutoffReader(Protocol):
    """Source of cutoffs, such as `todo.db.database.Database`."""

    def reading(self) -> AbstractAsyncContextManager[Session]: ...  # noqa: D102


class Cutoffs:
    """Cache of all users' cutoffs; one per process."""

    def __init__(
        self,
        source: CutoffReader,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._clock = clock
        self._wall_clock = wall_clock
        self._known: dict[str, float] = {}
        self._newest = datetime.fromtimestamp(0, UTC) + _OVERLAP
        self._read_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None

    async def check(self, caller: Caller) -> None:
        """Reject a JSON Web Token unless it was issued after its user's cutoff.

        Raises:
            UnauthorizedError: The token is revoked.
            UnavailableError: The database is unavailable.
        """
        if self._clock() - self._read_at >= MAX_AGE_S:
            await self._refresh()
        _check(caller, self._known.get(caller.user))

    async def _refresh(self) -> None:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._forget)
        # The load is not canceled with the request, because others wait for the same result.
        await asyncio.shield(self._loading)

    def _forget(self, loading: asyncio.Task[None]) -> None:
        self._loading = None
        if not loading.cancelled():
            # Avoids asyncio's warning if all waiting requests have ended.
            loading.exception()

    async def _load(self) -> None:
        asked_at = self._clock()
        after, after_user = self._newest - _OVERLAP, ""
        rows: list[Row] = [()] * _PAGE
        async with self._source.reading() as session:
            while len(rows) == _PAGE:
                values = {"after": _write(after), "after_user": after_user, "until": _FOREVER}
                rows = await session.fetch(_NEWER, values)
                for user, at in rows:
                    after, after_user = _parse(at), user
                    self._known[user] = after.timestamp()
        # A cutoff in the future, set by a host with a wrong clock, must not hide later ones.
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        self._newest = min(max(self._newest, after), now)
        self._read_at = asked_at


def set_cutoff(user: str, cutoff: datetime) -> BoundStatement:
    """Return the statement that revokes a user's JSON Web Tokens issued up to the cutoff."""
    return (_SET, {"user_id": user, "cutoff_at": _write(cutoff)})


async def find_cutoff(session: Session, user: str) -> datetime | None:
    """Return the stored cutoff of a user, or None."""
    row = await session.find(_FIND, {"user": user})
    return None if row is None else _parse(row[0])


async def check_stored(session: Session, caller: Caller) -> None:
    """Check a token like `Cutoffs.check`, but uncached, for effects that outlive the token.

    Raises:
        UnauthorizedError: The token is revoked.
    """
    cutoff = await find_cutoff(session, caller.user)
    _check(caller, None if cutoff is None else cutoff.timestamp())


def _check(caller: Caller, cutoff: float | None) -> None:
    if cutoff is not None and (caller.issued_at is None or caller.issued_at <= cutoff):
        raise refuse("revoked by an operator")


def _write(at: datetime) -> str:
    return format_timestamp(at)


def _parse(at: datetime | str) -> datetime:
    # SQLite stores times as text.
    return (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)
