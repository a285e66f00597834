"""Hypercorn for one request outside the fast path; afterwards `todo.server.http1` continues."""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.typing import ConnectionState
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo.api.request_body import ENDS_WITH_CLIENT
from todo.server.h11_request import MAX_LINE_BYTES
from todo.server.http1_parser import Request, ServedBy
from todo.server.hypercorn_protocol import SingleRequestProtocol
from todo.server.read_pacing import ReadPacer

if TYPE_CHECKING:
    from hypercorn.typing import AppWrapper

    from todo.server.http1 import Connection

# Bytes that Hypercorn reads at a time. It handles every frame of a piece before it yields.
_PIECE_BYTES = {ServedBy.HYPERCORN: 8 * 1024, ServedBy.HYPERCORN_WEBSOCKET: 2 * 1024}
_MIN_PIECE_BYTES = 2 * 1024
"""Smaller pieces that wait are joined."""
# For a WebSocket these are rendered again: Hypercorn reads only the last line of a repeated field,
# and compression would let a small frame grow a thousandfold. Other upgrades are ignored.
_OWN_FIELDS = {
    ServedBy.HYPERCORN: frozenset({b"upgrade", b"http2-settings"}),
    ServedBy.HYPERCORN_WEBSOCKET: frozenset(
        {b"upgrade", b"connection", b"sec-websocket-extensions"}
    ),
}
# A web page sends only tokens and pings.
_MAX_MESSAGE_BYTES = 16 * 1024
_UPGRADE = b"connection:upgrade\r\nupgrade:websocket\r\n"


def _make_config() -> Config:
    config = Config()
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.websocket_max_message_size = _MAX_MESSAGE_BYTES
    config.h11_max_incomplete_size = MAX_LINE_BYTES
    return config


CONFIG = _make_config()


def render_request(request: Request) -> bytes:
    """Render the head of a request so that it can be parsed in one way only."""
    own = _OWN_FIELDS[request.served_by]
    lines = [b"%b:%b\r\n" % field for field in request.headers if field[0] not in own]
    if request.served_by is ServedBy.HYPERCORN_WEBSOCKET:
        lines.append(_UPGRADE)
    start = (request.method.encode(), request.target, request.http_version)
    return b"%b %b HTTP/%b\r\n%b\r\n" % (*start, b"".join(lines))


class HypercornCycle:
    """A request-response cycle that Hypercorn serves, or a WebSocket.

    Attributes:
        request_complete: Whether the request is complete, as far as known without parsing chunks.
        response_started: Whether a part of the response has been sent.
        keep_alive: Whether another request can follow on the connection.
        unread_bytes: Bytes of the client that Hypercorn has not read.
    """

    def __init__(
        self,
        app: ASGIApp,
        pacer: ReadPacer,
        connection: "Connection",
        request: Request,
        body: bytes,
    ) -> None:
        """Prepare to serve a request.

        Args:
            app: The application.
            pacer: Pacer that all connections of a listener share.
            connection: The connection to the client.
            request: Request that `todo.server.http1_strict_parser` accepted.
            body: Received bytes after the head.
        """
        self.request_complete = False
        self.unread_bytes = 0
        self.response_started = False
        self._app = app
        self._pacer = pacer
        self._connection = connection
        self._request = request
        self._pieces: deque[bytes | memoryview] = deque()
        self._is_chunked = any(name == b"transfer-encoding" for name, _value in request.headers)
        self._received = 0
        self._last_bytes = b""
        self._eof = False
        self._disconnected = False
        self._ends_with_client = False
        self.keep_alive = False
        self._protocol: SingleRequestProtocol
        self._is_websocket = request.served_by is ServedBy.HYPERCORN_WEBSOCKET
        # Set while the application wants to read.
        self._read_wanted = asyncio.Event()
        self._readers = 0
        self._client_event = asyncio.Event()
        self._finished = asyncio.Event()
        self.feed(body)

    @property
    def trailing_data(self) -> bytes:
        """The bytes behind the request, complete when `run_asgi` has returned."""
        return self._protocol.connection.trailing_data[0] + b"".join(self._pieces)

    def feed(self, data: bytes) -> bytes:
        """Queue what the client sent: only Hypercorn finds the end of the body."""
        if data:
            if self._pieces and len(self._pieces[-1]) + len(data) <= _MIN_PIECE_BYTES:
                # A client that sends a byte at a time must not make an object of each.
                self._pieces.append(bytes(self._pieces.pop()) + data)
            else:
                self._pieces.append(data)
            self.unread_bytes += len(data)
            self._received += len(data)
            self._client_event.set()
        if self._is_chunked:
            self._last_bytes = (self._last_bytes + data[-4:])[-4:]
            # The last chunk ends like this; one that only looks like it is counted as well.
            self.request_complete = self.request_complete or self._last_bytes == b"\r\n\r\n"
        else:
            self.request_complete = self._received >= self._request.content_length
        return b""

    def feed_eof(self) -> None:
        """Note that the client sends no more."""
        self._eof = True
        self._client_event.set()

    def abandon_body(self) -> None:
        """Wait for no more of the body; only Hypercorn knows whether it is complete."""
        self.feed_eof()

    def disconnect(self) -> None:
        """Note that the client is gone."""
        self._disconnected = True
        self.feed_eof()

    async def run_asgi(self) -> None:
        """Serve the request."""
        leaving = None
        try:
            async with TaskGroup(asyncio.get_running_loop()) as group:
                self._protocol = self._open(group)
                reading = asyncio.create_task(self._read())
                reading.add_done_callback(lambda _: self._finished.set())
                try:
                    await self._finished.wait()
                finally:
                    reading.cancel()
                    await asyncio.wait({reading})
                if not reading.cancelled():
                    reading.result()
                if not self._protocol.request_complete:
                    await self._pacer.wait()
                self.keep_alive = self._protocol.skip_body(b"".join(self._pieces))
                self._pieces.clear()
                # An application that still runs is notified when it reads again.
                leaving = asyncio.create_task(self._protocol.handle(Closed()))
        finally:
            self._protocol.stop_pings()
            if leaving is not None:
                leaving.cancel()

    def _open(self, group: TaskGroup) -> SingleRequestProtocol:
        scope = self._connection.base_scope
        return SingleRequestProtocol(
            self._wait_for_pending,
            cast("AppWrapper", self._run_app),
            CONFIG,
            WorkerContext(None),
            group,
            ConnectionState({}),
            False,  # noqa: FBT003 - no TLS
            scope["client"],
            scope["server"],
            self._send,
        )

    async def _wait_for_pending(self) -> bytes:
        """Wait for a turn, and return the bytes that have arrived and are not handled yet."""
        await self._pacer.wait()
        return b"".join(self._pieces)

    async def _run_app(self, scope: Scope, receive: Receive, send: Send, *_sync: Any) -> None:  # noqa: ANN401
        extensions = scope.setdefault("extensions", {})

        async def read() -> Message:
            await self._protocol.send_continue()
            if ENDS_WITH_CLIENT in extensions:
                self._ends_with_client = True
                self._client_event.set()
            self._readers += 1
            self._read_wanted.set()
            try:
                return await receive()
            finally:
                self._readers -= 1
                if not self._readers:
                    self._read_wanted.clear()

        try:
            await self._app(scope, receive if self._is_websocket else read, send)
        finally:
            # After Hypercorn's own response, where the application ended without one.
            asyncio.get_running_loop().call_soon(self._finished.set)

    async def _read(self) -> None:
        """Pass the client's bytes to Hypercorn, as fast as the application reads them."""
        protocol = self._protocol
        await protocol.handle(RawData(render_request(self._request)))
        while not protocol.request_complete:
            await self._read_wanted.wait()
            if self._pieces:
                await self._pacer.wait()
                await protocol.handle(RawData(self._take_piece()))
            elif self._eof:
                break
            else:
                await self._wait_for_client()
        owes_response = protocol.request_complete
        while not self._has_client_left(owes_response=owes_response):
            await self._wait_for_client()
        await protocol.handle(Closed())
        await asyncio.Event().wait()

    def _has_client_left(self, *, owes_response: bool) -> bool:
        """Return whether the client is gone, by the rule of `RequestResponseCycle.feed_eof`."""
        if not self._eof:
            return self._disconnected
        return (
            self._disconnected
            or self._protocol.is_streaming
            or self._ends_with_client
            or not owes_response
        )

    async def _wait_for_client(self) -> None:
        self._client_event.clear()
        await self._client_event.wait()

    def _take_piece(self) -> bytes:
        most = _PIECE_BYTES[self._request.served_by]
        data = memoryview(self._pieces.popleft())
        if len(data) > most:
            self._pieces.appendleft(data[most:])
            data = data[:most]
        self.unread_bytes -= len(data)
        if not self._pieces:
            # Not earlier: more arrives in an iteration of the loop than is handled in one.
            self._connection.resume_reading()
        return bytes(data)

    async def _send(self, event: Event) -> None:
        if isinstance(event, Closed):
            self._finished.set()
        elif isinstance(event, RawData):
            self.response_started = self.response_started or self._protocol.response_started
            if self._eof:
                # The response may be a stream, which ends with its client.
                self._client_event.set()
            if self._is_websocket and self._protocol.websocket_accepted:
                # Frames that arrived earlier are valid only after the handshake.
                self._read_wanted.set()
            closing = self._connection.transport.is_closing()
            if not closing and (drain := self._connection.flow.write(event.data)) is not None:
                await drain
