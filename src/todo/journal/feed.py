"""Change feed: wakes event streams and WebSockets when a journal has new entries.

A follower wakes immediately after a commit of this process, and within a second after a commit of
another process: one asyncio task polls the heads of all followed journals. A follower then reads
the changes like any other client, and keeps no database session open in between.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import orjson
from sqlalchemy import select

from todo.core.errors import UnavailableError
from todo.db.errors import ConflictError
from todo.db.session import Session
from todo.db.statement import Statement, unnest_json
from todo.db.tables import account
from todo.journal.repository import Change, Changes, View, read_changes

# Each follower keeps its page in memory until its client has read it. So a page is small: it has at
# least one change, but more only up to PAGE_BYTES in total.
PAGE = 10
PAGE_BYTES = 32 * 1024
_POLL_S = 1.0
_TIMEOUT_S = 60.0

_HEADS = Statement(
    lambda dialect: select(account.c.owner, account.c.seq).where(
        account.c.owner.in_(unnest_json(dialect, "owners", account.c.owner.type))
    )
)
_log = logging.getLogger("todo.journal.feed")


class JournalReader(Protocol):
    """Source of journals, such as `todo.db.database.Database`."""

    def reading(self, *accounts: str) -> AbstractAsyncContextManager[Session]: ...  # noqa: D102


class ChangeFeed:
    """Wakes the followers of journals; one instance per process.

    With followers, it polls every `poll_s` seconds for writes of other processes.
    """

    def __init__(self, source: JournalReader, *, poll_s: float = _POLL_S) -> None:
        self._source = source
        self._poll_s = poll_s
        self._wakeups: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._heads: dict[str, int] = {}
        self._poller: asyncio.Task[None] | None = None
        self._stopped = False

    def notify(self, owners: Iterable[str]) -> None:
        """Wake the followers of the owners' journals, after a commit."""
        for owner in owners:
            for wakeup in self._wakeups.get(owner, ()):
                wakeup.set()

    def stop(self) -> None:
        """Stop all followers when the process shuts down."""
        self._stopped = True
        self.notify(list(self._wakeups))

    async def follow_pages(
        self, view: View, since: int, user: str, *, timeout_s: float = _TIMEOUT_S
    ) -> AsyncGenerator[list[Change], None]:
        """Yield pages of the changes after `since` as they happen, until the process stops.

        After `timeout_s` without changes that the view shows, it yields an empty page. The reads
        count towards the connection limit of `user`.
        """
        limit = PAGE
        now = asyncio.get_running_loop().time
        yields_at = now() + timeout_s
        with self._watch(view.owner) as wakeup:
            while not self._stopped:
                wakeup.clear()
                try:
                    async with self._source.reading(user) as session:
                        read = await read_changes(session, view, since, limit)
                        found = _bound(read)
                        # This limit avoids rereading entries that do not fit on a page.
                        limit = len(found.items) if found is not read else min(PAGE, 2 * limit)
                        del read
                except UnavailableError:
                    # Followers wait for the database as they wait for a change.
                    await self._wait(wakeup, self._poll_s)
                    page = []
                else:
                    since, page = found.next_since, found.items
                    if not page:
                        if not found.has_more:
                            await self._wait(wakeup, yields_at - now())
                        # Wakeups by changes that the view does not show must not delay the page.
                        if now() < yields_at:
                            continue
                yield page
                yields_at = now() + timeout_s

    async def _wait(self, wakeup: asyncio.Event, seconds: float) -> None:
        """Wait for the wakeup, or until the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wakeup.wait()

    @contextlib.contextmanager
    def _watch(self, owner: str) -> Iterator[asyncio.Event]:
        wakeup = asyncio.Event()
        self._wakeups[owner].add(wakeup)
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            yield wakeup
        finally:
            self._wakeups[owner].discard(wakeup)
            if not self._wakeups[owner]:
                del self._wakeups[owner]
                self._heads.pop(owner, None)
            if not self._wakeups and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _poll(self) -> None:
        """Poll for entries of other processes while there are followers."""
        while True:
            await asyncio.sleep(self._poll_s)
            owners = orjson.dumps(list(self._wakeups)).decode()
            try:
                async with self._source.reading() as session:
                    rows = await session.fetch(_HEADS, {"owners": owners})
            except (UnavailableError, ConflictError):
                continue
            except Exception:  # noqa: BLE001 - the loop must survive any error
                _log.exception("cannot fetch the changes of other processes")
                continue
            for owner, seq in rows:
                if self._heads.get(owner) != seq:
                    self._heads[owner] = seq
                    self.notify([owner])


def _bound(found: Changes) -> Changes:
    """Return the changes that fit on one page."""
    size = 0
    for number, change in enumerate(found.items):
        size += len(change.data)
        if number and size > PAGE_BYTES:
            return Changes(found.items[:number], found.items[number - 1].seq, has_more=True)
    return found
