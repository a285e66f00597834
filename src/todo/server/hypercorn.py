"""Hypercorn for requests outside the fast path: one request, then `todo.server.http1` continues."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.typing import ConnectionState
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo.api.request_body import ENDS_WITH_CLIENT
from todo.server.http1_parser import Request, RequestKind
from todo.server.hypercorn_protocol import Http1
from todo.server.read_pacing import ReadPacer

if TYPE_CHECKING:
    from hypercorn.typing import AppWrapper

    from todo.server.http1 import Connection

# Bytes that Hypercorn reads at a time. It handles every frame of a piece before it yields.
_PIECE_BYTES = {RequestKind.HYPERCORN: 8 * 1024, RequestKind.WEBSOCKET: 2 * 1024}
_MIN_PIECE_BYTES = 2 * 1024
"""Smaller pieces that wait are joined."""
# For a WebSocket these are rendered again: Hypercorn reads only the last line of a repeated field,
# and compression would let a small frame grow a thousandfold. Other upgrades are ignored.
_OWN_FIELDS = {
    RequestKind.HYPERCORN: frozenset({b"upgrade", b"http2-settings"}),
    RequestKind.WEBSOCKET: frozenset({b"upgrade", b"connection", b"sec-websocket-extensions"}),
}
_UPGRADE = b"connection:upgrade\r\nupgrade:websocket\r\n"


def render_request(request: Request) -> bytes:
    """Render the head of a request so that it can be read in one way only."""
    own = _OWN_FIELDS[request.kind]
    lines = [b"%b:%b\r\n" % field for field in request.headers if field[0] not in own]
    if request.kind is RequestKind.WEBSOCKET:
        lines.append(_UPGRADE)
    start = (request.method.encode(), request.target, request.version)
    return b"%b %b HTTP/%b\r\n%b\r\n" % (*start, b"".join(lines))


class HypercornExchange:
    """One request and its response, or a WebSocket, in place of `todo.server.http1.Exchange`.

    Attributes:
        has_arrived: Whether the request is complete, as far as that shows without parsing chunks.
        unread: Bytes of the client that Hypercorn has not read.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: Config,
        pace: ReadPacer,
        connection: "Connection",
        request: Request,
        body: bytes,
    ) -> None:
        """Prepare to serve a request.

        Args:
            app: The application.
            config: Hypercorn's.
            pace: Shared by the connections of a listener.
            connection: The client's.
            request: As `todo.server.http1_strict_parser` accepted it.
            body: The bytes behind its head that have come already.
        """
        self.has_arrived = False
        self.unread = 0
        self.started = False
        self._app = app
        self._config = config
        self._pace = pace
        self._connection = connection
        self._request = request
        self._pieces: deque[bytes | memoryview] = deque()
        self._is_chunked = any(name == b"transfer-encoding" for name, _value in request.headers)
        self._received = 0
        self._last_bytes = b""
        self._client_ended = False
        self._is_gone = False
        self._ends_with_client = False
        self._is_reusable = False
        self._protocol: Http1
        self._is_websocket = request.kind is RequestKind.WEBSOCKET
        # Set while the application wants to read.
        self._wanted = asyncio.Event()
        self._readers = 0
        self._arrived = asyncio.Event()
        self._over = asyncio.Event()
        self.feed(body)

    @property
    def leaves_usable(self) -> bool:
        """Whether another request can follow on the connection."""
        return self._is_reusable

    @property
    def surplus(self) -> bytes:
        """The bytes behind the request; more come until `run` is over."""
        return self._protocol.connection.trailing_data[0] + b"".join(self._pieces)

    def feed(self, data: bytes) -> bytes:
        """Queue what the client sent: only Hypercorn finds the end of the body."""
        if data:
            if self._pieces and len(self._pieces[-1]) + len(data) <= _MIN_PIECE_BYTES:
                # A client that sends a byte at a time must not make an object of each.
                self._pieces.append(bytes(self._pieces.pop()) + data)
            else:
                self._pieces.append(data)
            self.unread += len(data)
            self._received += len(data)
            self._arrived.set()
        if self._is_chunked:
            self._last_bytes = (self._last_bytes + data[-4:])[-4:]
            # The last chunk ends like this; one that only looks like it is counted as well.
            self.has_arrived = self.has_arrived or self._last_bytes == b"\r\n\r\n"
        else:
            self.has_arrived = self._received >= self._request.length
        return b""

    def end(self) -> None:
        """The client sends no more."""
        self._client_ended = True
        self._arrived.set()

    def end_body(self) -> None:
        """No more of the body is waited for; only Hypercorn knows whether it is complete."""
        self.end()

    def disconnect(self) -> None:
        """The client is gone."""
        self._is_gone = True
        self.end()

    async def run(self) -> None:
        """Serve the request."""
        leaving = None
        try:
            async with TaskGroup(asyncio.get_running_loop()) as group:
                self._protocol = self._open(group)
                reading = asyncio.create_task(self._read())
                reading.add_done_callback(lambda _: self._over.set())
                try:
                    await self._over.wait()
                finally:
                    reading.cancel()
                    await asyncio.wait({reading})
                if not reading.cancelled():
                    reading.result()
                if not self._protocol.has_whole_request:
                    await self._pace.wait()
                self._is_reusable = self._protocol.skip_body(b"".join(self._pieces))
                self._pieces.clear()
                # An application that is still running learns of it when it reads again.
                leaving = asyncio.create_task(self._protocol.handle(Closed()))
        finally:
            self._protocol.stop_pings()
            if leaving is not None:
                leaving.cancel()

    def _open(self, group: TaskGroup) -> Http1:
        template = self._connection.template
        return Http1(
            self._wait_for_pending,
            cast("AppWrapper", self._run_app),
            self._config,
            WorkerContext(None),
            group,
            ConnectionState({}),
            False,  # noqa: FBT003 - no TLS
            template["client"],
            template["server"],
            self._send,
        )

    async def _wait_for_pending(self) -> bytes:
        """Wait for a turn to handle the bytes that have come and are not handled; return them."""
        await self._pace.wait()
        return b"".join(self._pieces)

    async def _run_app(self, scope: Scope, receive: Receive, send: Send, *_sync: Any) -> None:  # noqa: ANN401
        extensions = scope.setdefault("extensions", {})

        async def read() -> Message:
            await self._protocol.send_continue()
            if ENDS_WITH_CLIENT in extensions:
                self._ends_with_client = True
                self._arrived.set()
            self._readers += 1
            self._wanted.set()
            try:
                return await receive()
            finally:
                self._readers -= 1
                if not self._readers:
                    self._wanted.clear()

        try:
            await self._app(scope, receive if self._is_websocket else read, send)
        finally:
            # After Hypercorn's own answer to an application that ended without one.
            asyncio.get_running_loop().call_soon(self._over.set)

    async def _read(self) -> None:
        """Hand the client's bytes on, as fast as the application reads them."""
        protocol = self._protocol
        await protocol.handle(RawData(render_request(self._request)))
        while not protocol.has_whole_request:
            await self._wanted.wait()
            if self._pieces:
                await self._pace.wait()
                await protocol.handle(RawData(self._take_piece()))
            elif self._client_ended:
                break
            else:
                await self._wait_for_client()
        owes = protocol.has_whole_request
        while not self._has_left(owes=owes):
            await self._wait_for_client()
        await protocol.handle(Closed())
        await asyncio.Event().wait()

    def _has_left(self, *, owes: bool) -> bool:
        """Whether the client is gone, by the rule of `exchange.py`: some get their response."""
        if not self._client_ended:
            return self._is_gone
        return self._is_gone or self._protocol.is_streaming or self._ends_with_client or not owes

    async def _wait_for_client(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    def _take_piece(self) -> bytes:
        most = _PIECE_BYTES[self._request.kind]
        data = memoryview(self._pieces.popleft())
        if len(data) > most:
            self._pieces.appendleft(data[most:])
            data = data[:most]
        self.unread -= len(data)
        if not self._pieces:
            # Not earlier: more comes in a turn of the loop than is taken in one.
            self._connection.resume_reading()
        return bytes(data)

    async def _send(self, event: Event) -> None:
        if isinstance(event, Closed):
            self._over.set()
        elif isinstance(event, RawData):
            self.started = self.started or self._protocol.has_started_response
            if self._client_ended:
                # Perhaps to a stream.
                self._arrived.set()
            if self._is_websocket and self._protocol.is_accepted:
                # Frames that came earlier are not valid before the handshake is over.
                self._wanted.set()
            closing = self._connection.transport.is_closing()
            if not closing and (behind := self._connection.write(event.data)) is not None:
                await behind
