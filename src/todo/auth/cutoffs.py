"""Revocation of JSON Web Tokens: for each user, tokens issued up to a cutoff are rejected.

The service has no list of issued tokens, so an operator revokes all tokens of a user that were
issued up to a time. There are few cutoffs; each process caches them and reads new ones every few
seconds.
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
"""Maximum seconds until a process notices a new cutoff."""

_PAGE = 1000
# One that is stored late may be older than others that are known, as may one of a host whose clock
# is wrong.
_OVERLAP = timedelta(days=1)
_FOREVER = "9999-12-31T00:00:00.000000+00:00"
_of = token_cutoff.c
_AFTER = bindparam("after", type_=Time)
_NEWER = Statement(
    select(_of.user_id, _of.cutoff_at)
    # Two bounds: with only one, PostgreSQL estimates a third of the table, and reads all of it.
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
    """The cutoffs of all users; one for the process."""

    def __init__(
        self,
        source: CutoffReader,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Start without; the first token reads them.

        Args:
            source: The database.
            clock: Seconds that only grow.
            wall_clock: Seconds since 1970.
        """
        self._source = source
        self._clock = clock
        self._wall_clock = wall_clock
        self._known: dict[str, float] = {}
        self._newest = datetime.fromtimestamp(0, UTC) + _OVERLAP
        self._read_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None

    async def check(self, caller: Caller) -> None:
        """Refuse a JSON Web Token issued before its user's cutoff, or without an issue time.

        Raises:
            UnauthorizedError: The token is ended.
            UnavailableError: The database is unavailable.
        """
        if self._clock() - self._read_at >= MAX_AGE_S:
            await self._refresh()
        _check(caller, self._known.get(caller.user))

    async def _refresh(self) -> None:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._forget)
        # Never cancelled with the request: others wait for the same.
        await asyncio.shield(self._loading)

    def _forget(self, loading: asyncio.Task[None]) -> None:
        self._loading = None
        if not loading.cancelled():
            # Avoids asyncio's warning where every request that waited is gone.
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
        # A cutoff in the future, of a host whose clock is wrong, must not hide the next ones.
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        self._newest = min(max(self._newest, after), now)
        self._read_at = asked_at


def set_cutoff(user: str, cutoff: datetime) -> BoundStatement:
    """End the JSON Web Tokens that a user was issued up to a time."""
    return (_SET, {"user_id": user, "cutoff_at": _write(cutoff)})


async def find_cutoff(session: Session, user: str) -> datetime | None:
    """Return a user's cutoff as it is stored now."""
    row = await session.find(_FIND, {"user": user})
    return None if row is None else _parse(row[0])


async def check_stored(session: Session, caller: Caller) -> None:
    """Check a token like `Cutoffs.check`, with the stored cutoffs.

    For what would outlive the token: another process ended it up to `MAX_AGE_S` before.

    Raises:
        UnauthorizedError: The token is ended.
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
