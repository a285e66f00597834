"""Server-sent events: a response that sends changes for as long as its client listens."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from todo.core.errors import ProblemError, TooManyStreamsError, UnavailableError
from todo.journal.feed import ChangeFeed
from todo.journal.repository import Change, View
from todo.observability.metrics import Metrics

MEDIA_TYPE = "text/event-stream"
MAX_OF_USER = 10
MAX_STREAMS = 1000
# Below the idle time-out of any proxy.
HEARTBEAT_S = 15.0
# How long a client waits until it comes back; they all do when the process stops.
_RETRY_MS = 2000

Confirm = Callable[[], Awaitable[object]]


class Streams:
    """The streams of events of this process."""

    def __init__(
        self, feed: ChangeFeed, metrics: Metrics, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        """Prepare.

        Args:
            feed: Source of the changes.
            metrics: Counts open streams.
            heartbeat_s: Interval of heartbeats in an idle stream.
        """
        self._feed = feed
        self._metrics = metrics
        self._heartbeat_s = heartbeat_s
        self._users: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, user: str) -> Iterator[None]:
        """Count a user's stream for the length of the block.

        Raises:
            TooManyStreamsError: The user has too many.
            UnavailableError: Others have.
        """
        if self._users[user] >= MAX_OF_USER:
            raise TooManyStreamsError
        if self._users.total() >= MAX_STREAMS:
            raise UnavailableError("Too many event streams are open; try again later.")
        self._users[user] += 1
        try:
            with self._metrics.streaming("events"):
                yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    async def render(
        self, view: View, since: int, user: str, confirm: Confirm
    ) -> AsyncIterator[bytes]:
        """Yield the events after a number, until the process stops.

        Args:
            view: View of the journal.
            since: Number of the client's last known change.
            user: Follower.
            confirm: Raises if the client may no longer follow.
        """
        yield b"retry: %d\n\n" % _RETRY_MS
        pages = self._feed.follow_pages(view, since, user, timeout_s=self._heartbeat_s)
        async with contextlib.aclosing(pages):
            async for page in pages:
                try:
                    await confirm()
                except ProblemError:
                    # The client connects again, and gets a status that shows why it is refused.
                    return
                yield b"".join(map(render_event, page)) or b":\n\n"


def render_event(change: Change) -> bytes:
    """Return a change as an event."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        change.seq,
        change.operation.encode(),
        # JSON has no line breaks but between its parts, where a blank does as well.
        change.data.replace(b"\n", b" "),
    )


class EventStream(StreamingResponse):
    """The response; what is refused here is still answered as an error."""

    media_type = MEDIA_TYPE

    def __init__(self, streams: Streams, user: str, events: AsyncIterator[bytes]) -> None:
        """Prepare to answer a user with events."""
        super().__init__(events, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self._streams = streams
        self._user = user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, until the client leaves or the process stops."""
        with self._streams.place(self._user):
            await super().__call__(scope, receive, send)
