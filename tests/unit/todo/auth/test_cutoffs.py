"""Revocation of JSON Web Tokens by cutoffs, and how often cutoffs are read."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from todo.auth.cutoffs import MAX_AGE_S, Cutoffs
from todo.core.caller import Caller
from todo.core.errors import DatabaseUnavailableError, UnauthorizedError

if TYPE_CHECKING:
    from todo.db.session import Session
    from todo.db.statement import Statement

CUTOFF = datetime(2026, 11, 29, 12, tzinfo=UTC)
AT = CUTOFF.timestamp()


class Stored:
    """A database with cutoffs that can be down, and a clock."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Any]] = [("alice", CUTOFF)]
        self.down = False
        self.asked = 0
        self.now = 1000.0
        self.cutoffs = Cutoffs(self, lambda: self.now, lambda: AT + self.now)

    @asynccontextmanager
    async def reading(self) -> "AsyncIterator[Session]":
        self.asked += 1
        await asyncio.sleep(0)
        if self.down:
            raise DatabaseUnavailableError
        yield cast("Session", self)

    async def fetch(
        self, _statement: "Statement", values: Mapping[str, Any]
    ) -> list[tuple[str, Any]]:
        """Return a page, in the order of times and users, after a place."""
        place = (datetime.fromisoformat(values["after"]), values["after_user"])
        placed = sorted((datetime.fromisoformat(str(at)), user, at) for user, at in self.rows)
        return [(user, at) for time, user, at in placed if (time, user) > place][:1000]

    async def accepts(self, user: str, issued_at: float | None) -> bool:
        try:
            await self.cutoffs.check(Caller(user, issued_at=issued_at))
        except UnauthorizedError:
            return False
        return True


@pytest.mark.parametrize("stored", [CUTOFF, CUTOFF.isoformat(timespec="microseconds")])
@pytest.mark.parametrize(
    ("user", "issued_at", "accepted"),
    [
        ("alice", AT - 1, False),
        ("alice", AT, False),
        ("alice", AT + 0.5, True),
        ("alice", AT + 1, True),
        ("alice", None, False),
        ("bob", AT - 1, True),
        ("bob", None, True),
    ],
)
def test_a_cutoff_ends_what_was_issued_up_to_it(
    stored: object, user: str, issued_at: float | None, *, accepted: bool
) -> None:
    source = Stored()
    source.rows = [("alice", stored)]

    assert asyncio.run(source.accepts(user, issued_at)) == accepted


def test_cutoffs_are_read_once_for_many_and_again_after_a_while() -> None:
    async def run() -> None:
        source = Stored()
        source.rows = []
        assert all(await asyncio.gather(*(source.accepts("alice", AT) for _ in range(10))))
        source.rows = [("alice", CUTOFF)]
        source.now += MAX_AGE_S - 1
        assert await source.accepts("alice", AT)
        assert source.asked == 1
        source.now += 1
        assert not any(await asyncio.gather(*(source.accepts("alice", AT) for _ in range(10))))
        assert source.asked == 2

    asyncio.run(run())


def test_more_cutoffs_than_a_page_and_late_ones_are_read() -> None:
    async def run() -> None:
        source = Stored()
        source.rows = [(f"user {number}", CUTOFF) for number in range(2500)]
        for number in (0, 999, 1000, 2499):
            assert not await source.accepts(f"user {number}", AT)
        source.rows.append(("late", CUTOFF - timedelta(hours=1)))
        source.now += MAX_AGE_S
        assert not await source.accepts("late", AT - 7200)
        assert not await source.accepts("user 0", AT)

    asyncio.run(run())


def test_a_cutoff_in_the_future_does_not_hide_later_ones() -> None:
    async def run() -> None:
        source = Stored()
        source.rows = [("alice", CUTOFF + timedelta(days=400))]
        assert await source.accepts("bob", AT)
        source.rows.append(("bob", CUTOFF))
        source.now += MAX_AGE_S
        assert not await source.accepts("bob", AT)
        assert not await source.accepts("alice", AT)

    asyncio.run(run())


def test_a_later_cutoff_replaces_an_earlier_one() -> None:
    async def run() -> None:
        source = Stored()
        assert await source.accepts("alice", AT + 1)
        source.rows = [("alice", CUTOFF + timedelta(seconds=2))]
        source.now += MAX_AGE_S
        assert not await source.accepts("alice", AT + 1)

    asyncio.run(run())


def test_without_a_database_no_token_passes_unchecked() -> None:
    async def run() -> None:
        source = Stored()
        source.down = True
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError):
                await source.accepts("bob", AT)
        source.down = False
        assert await source.accepts("bob", AT)
        assert not await source.accepts("alice", AT)

    asyncio.run(run())


def test_a_request_that_leaves_does_not_end_the_reading_for_others() -> None:
    async def run() -> None:
        source = Stored()
        one, other = (asyncio.create_task(source.accepts("bob", AT)) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        assert await other
        assert source.asked == 1

    asyncio.run(run())
