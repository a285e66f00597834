"""Request-response cycle of Hypercorn, for one request outside the fast path."""

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

# Maximum bytes passed to Hypercorn at once: it handles all their frames before it yields.
_PIECE_BYTES = {ServedBy.HYPERCORN: 8 * 1024, ServedBy.HYPERCORN_WEBSOCKET: 2 * 1024}
_MIN_PIECE_BYTES = 2 * 1024
"""Size up to which waiting pieces are joined."""
# Fields that are not forwarded: other upgrades are ignored. Those of a WebSocket are rendered
# again, because Hypercorn reads only the last line of a repeated field. Compression is left out,
# because it would let a small frame grow a thousandfold.
_OWN_FIELDS = {
    ServedBy.HYPERCORN: frozenset({b"upgrade", b"http2-settings"}),
    ServedBy.HYPERCORN_WEBSOCKET: frozenset(
        {b"upgrade", b"connection", b"sec-websocket-extensions"}
    ),
}
# Web pages send only tokens and pings.
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
    """Render the head of a request so that it parses unambiguously."""
    own = _OWN_FIELDS[request.served_by]
    lines = [b"%b:%b\r\n" % field for field in request.headers if field[0] not in own]
    if request.served_by is ServedBy.HYPERCORN_WEBSOCKET:
        lines.append(_UPGRADE)
    start = (request.method.encode(), request.target, request.http_version)
    return b"%b %b HTTP/%b\r\n%b\r\n" % (*start, b"".join(lines))


class HypercornCycle:
    """Request-response cycle or WebSocket that Hypercorn serves.

    `request_complete` is determined without parsing chunks.
    """

    def __init__(
        self,
        app: ASGIApp,
        pacer: ReadPacer,
        connection: "Connection",
        request: Request,
        body: bytes,
    ) -> None:
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
        # Set while the application waits for data.
        self._read_wanted = asyncio.Event()
        self._readers = 0
        self._client_event = asyncio.Event()
        self._finished = asyncio.Event()
        self.feed(body)

    @property
    def trailing_data(self) -> bytes:
        """Bytes after the request; complete once `run_asgi` has returned."""
        return self._protocol.connection.trailing_data[0] + b"".join(self._pieces)

    def feed(self, data: bytes) -> bytes:
        """Queue received bytes; return no bytes: only Hypercorn finds the end of the body."""
        if data:
            if self._pieces and len(self._pieces[-1]) + len(data) <= _MIN_PIECE_BYTES:
                # A client that sends single bytes must not create an object for each.
                self._pieces.append(bytes(self._pieces.pop()) + data)
            else:
                self._pieces.append(data)
            self.unread_bytes += len(data)
            self._received += len(data)
            self._client_event.set()
        if self._is_chunked:
            self._last_bytes = (self._last_bytes + data[-4:])[-4:]
            # The end of the last chunk, or data that looks like it.
            self.request_complete = self.request_complete or self._last_bytes == b"\r\n\r\n"
        else:
            self.request_complete = self._received >= self._request.content_length
        return b""

    def feed_eof(self) -> None:
        """Note that the client has finished sending."""
        self._eof = True
        self._client_event.set()

    def abandon_body(self) -> None:
        """Stop waiting for the body; only Hypercorn knows whether it is complete."""
        self.feed_eof()

    def disconnect(self) -> None:
        """Note that the client has disconnected."""
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
                # An application that is still running is notified at its next read.
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
        """Wait for a turn; return the received bytes that are not handled yet."""
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
            # Set later, because Hypercorn first responds itself if the application has not.
            asyncio.get_running_loop().call_soon(self._finished.set)

    async def _read(self) -> None:
        """Pass received bytes to Hypercorn as fast as the application reads them."""
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
        """Return whether the client has left, by the rule of `RequestResponseCycle.feed_eof`."""
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
            # Do not resume earlier, because a loop iteration receives more than it handles.
            self._connection.resume_reading()
        return bytes(data)

    async def _send(self, event: Event) -> None:
        if isinstance(event, Closed):
            self._finished.set()
        elif isinstance(event, RawData):
            self.response_started = self.response_started or self._protocol.response_started
            if self._eof:
                # If the response is a stream, it ends once the client has finished sending.
                self._client_event.set()
            if self._is_websocket and self._protocol.websocket_accepted:
                # Frames that arrived earlier are valid only after the handshake.
                self._read_wanted.set()
            closing = self._connection.transport.is_closing()
            if not closing and (drain := self._connection.flow.write(event.data)) is not None:
                await drain
