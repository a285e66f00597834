"""Server-sent events: a response that streams changes until the client disconnects."""

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
# Below the idle timeout of common proxies.
HEARTBEAT_S = 15.0
# Delay before a client reconnects; all clients reconnect when the process stops.
_RETRY_MS = 2000

Confirm = Callable[[], Awaitable[object]]


class Streams:
    """Event streams of this process, limited per user and in total."""

    def __init__(
        self, feed: ChangeFeed, metrics: Metrics, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._feed = feed
        self._metrics = metrics
        self._heartbeat_s = heartbeat_s
        self._users: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, user: str) -> Iterator[None]:
        """Count a stream of a user while the block runs.

        Raises:
            TooManyStreamsError: The user already has MAX_OF_USER streams.
            UnavailableError: MAX_STREAMS streams are already open.
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
        """Yield the events after the change `since`, until the process stops.

        The stream ends early if `confirm` raises a ProblemError: the client has lost its access.
        """
        yield b"retry: %d\n\n" % _RETRY_MS
        pages = self._feed.follow_pages(view, since, user, timeout_s=self._heartbeat_s)
        async with contextlib.aclosing(pages):
            async for page in pages:
                try:
                    await confirm()
                except ProblemError:
                    # The client reconnects and gets an error response with the reason.
                    return
                yield b"".join(map(render_event, page)) or b":\n\n"


def render_event(change: Change) -> bytes:
    """Return a change as a server-sent event."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        change.seq,
        change.operation.encode(),
        # JSON has line breaks only between tokens, where a space is equivalent.
        change.data.replace(b"\n", b" "),
    )


class EventStream(StreamingResponse):
    """Streaming response; if the limits are exceeded, it is a regular error response."""

    media_type = MEDIA_TYPE

    def __init__(self, streams: Streams, user: str, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self._streams = streams
        self._user = user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the events, until the client disconnects or the process stops."""
        with self._streams.place(self._user):
            await super().__call__(scope, receive, send)
