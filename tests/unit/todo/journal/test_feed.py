"""Following a journal without a database."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from todo.core.errors import (
    DatabaseUnavailableError,
    TooManyStreamsError,
    UnauthorizedError,
    UnavailableError,
)
from todo.db.session import Session
from todo.db.statement import BoundStatement, Row, Statement
from todo.journal import sse
from todo.journal.feed import ChangeFeed
from todo.journal.repository import Change, View
from todo.journal.sse import Streams

if TYPE_CHECKING:
    from todo.observability.metrics import Metrics

ALICE = View("alice")


class Journal:
    """A journal in memory, as a session reads it."""

    def __init__(self) -> None:
        self.seq = 0
        self.is_down = False
        self.asked = 0
        self.open = 0
        self.accounts: list[tuple[str, ...]] = []
        self.entry_bytes = 0
        self.most_read = 0
        self.is_hidden = False

    def come_back(self) -> None:
        self.is_down = False

    @asynccontextmanager
    async def reading(self, *accounts: str) -> AsyncIterator[Session]:
        self.accounts.append(accounts)
        if self.is_down:
            raise DatabaseUnavailableError
        self.open += 1
        yield cast("Session", self)
        self.open -= 1

    async def find(self, _statement: Statement, _values: Mapping[str, Any]) -> Row:
        return (self.seq,)

    async def fetch(self, _statement: Statement, _values: Mapping[str, Any]) -> list[Row]:
        self.asked += 1
        return [("alice", self.seq)]

    async def run(self, *calls: BoundStatement) -> list[list[Row]]:
        _, values = calls[1]
        last = min(self.seq, values["since"] + values["limit"])
        numbers = range(values["since"] + 1, last + 1)
        self.most_read = len(numbers)
        rows = [(b'{"seq":%d}' % n + b" " * self.entry_bytes, n, "create") for n in numbers]
        if self.is_hidden:
            rows = []
        return [[(self.seq,)], cast("list[Row]", rows)]


def run(scenario: Callable[[Journal, ChangeFeed], Awaitable[None]]) -> None:
    async def whole() -> None:
        journal = Journal()
        async with asyncio.timeout(120):
            await scenario(journal, ChangeFeed(journal, poll_s=0.01))

    asyncio.run(whole())


async def follow(feed: ChangeFeed, since: int) -> AsyncGenerator[Change, None]:
    """Yield the changes of the pages one by one."""
    async with aclosing(feed.follow_pages(ALICE, since, ALICE.owner)) as pages:
        async for page in pages:
            for change in page:
                yield change


def test_what_was_there_comes_first_and_then_what_is_told() -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        journal.seq = 250
        seen = []
        async for change in follow(feed, 2):
            seen.append(change.seq)
            assert journal.open == 0
            if change.seq == 250:
                journal.seq = 251
                feed.notify({"alice"})
            if change.seq == 251:
                feed.stop()
        assert seen == list(range(3, 252))

    run(scenario)


@pytest.mark.parametrize(("entry_bytes", "length"), [(0, 10), (10_000, 3), (100_000, 1)])
def test_a_page_is_small_because_its_client_may_be_slow(entry_bytes: int, length: int) -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        journal.seq, journal.entry_bytes = 40, entry_bytes
        seen: list[int] = []
        async for page in feed.follow_pages(ALICE, 0, "alice"):
            assert len(page) == length or page[-1].seq == 40
            seen += [change.seq for change in page]
            if len(seen) > 20:
                # Not much more is read than the page has room for.
                assert journal.most_read <= 2 * length + 1
            if seen[-1] == 40:
                break
        assert seen == list(range(1, 41))

    run(scenario)


def test_changes_that_the_view_does_not_show_do_not_delay_the_empty_page() -> None:
    async def write(journal: Journal, feed: ChangeFeed) -> None:
        while True:
            journal.seq += 1
            feed.notify(["alice"])
            await asyncio.sleep(0)

    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        journal.is_hidden = True
        writer = asyncio.create_task(write(journal, feed))
        async with aclosing(feed.follow_pages(ALICE, 0, "alice", timeout_s=0.05)) as pages:
            assert await anext(pages) == []
            assert await anext(pages) == []
        writer.cancel()

    run(scenario)


def test_what_nobody_told_of_is_found_by_asking() -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        asyncio.get_running_loop().call_later(0.05, setattr, journal, "seq", 1)
        async for change in follow(feed, 0):
            assert change.seq == 1
            break

    run(scenario)


def test_nobody_asks_when_nobody_follows() -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        journal.seq = 1
        changes = follow(feed, 0)
        await anext(changes)
        await changes.aclose()
        asked = journal.asked
        await asyncio.sleep(0.05)
        assert journal.asked == asked

    run(scenario)


def test_an_outage_is_waited_for() -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        journal.seq, journal.is_down = 1, True
        asyncio.get_running_loop().call_later(0.05, journal.come_back)
        assert (await anext(follow(feed, 0))).seq == 1

    run(scenario)


def test_a_stream_that_has_nothing_to_tell_says_so() -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        streams = Streams(feed, cast("Metrics", None), heartbeat_s=0.01)
        confirmed = []

        async def confirm() -> None:
            confirmed.append(journal.seq)

        said = streams.render(ALICE, 0, "bob", confirm)
        assert [await anext(said), await anext(said)] == [b"retry: 2000\n\n", b":\n\n"]
        journal.seq = 1
        assert await anext(said) == b'id: 1\nevent: create\ndata: {"seq":1}\n\n'
        assert confirmed == [0, 1]

    run(scenario)


def test_reads_for_a_stream_count_for_the_user_who_follows() -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        async def confirm() -> None: ...

        said = Streams(feed, cast("Metrics", None), heartbeat_s=0.01).render(
            ALICE, 0, "bob", confirm
        )
        for _ in range(3):
            await anext(said)
        assert set(journal.accounts) - {()} == {("bob",)}

    run(scenario)


def test_a_stream_ends_for_those_who_may_no_longer_listen() -> None:
    async def scenario(journal: Journal, feed: ChangeFeed) -> None:
        async def refuse() -> None:
            raise UnauthorizedError

        journal.seq = 1
        said = Streams(feed, cast("Metrics", None)).render(ALICE, 0, "bob", refuse)
        assert [part async for part in said] == [b"retry: 2000\n\n"]

    run(scenario)


def test_an_event_is_one_line_of_data() -> None:
    change = Change(7, "update", b'{"seq":7,\n"after":null}')

    assert sse.render_event(change) == (b'id: 7\nevent: update\ndata: {"seq":7, "after":null}\n\n')


class NoMetrics:
    @staticmethod
    def streaming(_kind: str) -> "NoMetrics":
        return NoMetrics()

    def __enter__(self) -> None: ...
    def __exit__(self, *_error: object) -> None: ...


def test_places_are_bounded_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_OF_USER", 1)
    monkeypatch.setattr(sse, "MAX_STREAMS", 2)
    streams = Streams(ChangeFeed(Journal()), cast("Metrics", NoMetrics()))

    with streams.place("alice"), streams.place("bob"):
        with pytest.raises(TooManyStreamsError), streams.place("alice"):
            pass
        with pytest.raises(UnavailableError), streams.place("carol"):
            pass
    with streams.place("alice"):
        pass
