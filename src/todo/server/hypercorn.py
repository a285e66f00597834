"""Hypercorn for requests outside the fast path: one request, then `todo.server.http1` continues."""

import asyncio
import contextlib
import copy
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import h11
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import ConnectionState
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from wsproto.events import Ping

from todo.api.request_body import ENDS_WITH_CLIENT
from todo.server.h11_request import SingleRequestConnection
from todo.server.http1_parser import Request, RequestKind
from todo.server.read_pacing import ReadPacer
from todo.server.websocket_frames import InvalidFramesError, check_frames

if TYPE_CHECKING:
    from hypercorn.typing import AppWrapper

    from todo.server.http1 import Connection

# Below the idle timeout of any proxy. A client that vanished is noticed when what is sent to it is
# never acknowledged.
_PING_S = 20
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
# Of a body that nobody reads. A chunk of one byte costs as much as a large one.
_MAX_SKIPPED_BYTES = 8 * 1024
_CLOSE = (b"connection", b"close")
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

    end_body = end

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

    def _open(self, group: TaskGroup) -> "Http1":
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


class Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 for one request, without its change to HTTP/2."""

    _pinging: asyncio.Task[None] | None = None
    is_streaming = False  # Whether a response without a length has been started.

    def __init__(
        self,
        wait_for_pending: Callable[[], Awaitable[bytes]],
        *arguments: Any,  # noqa: ANN401 - Hypercorn's own
    ) -> None:
        """Prepare.

        Args:
            wait_for_pending: Waits for a turn, and returns the bytes that are not handled.
            arguments: Hypercorn's.
        """
        super().__init__(*arguments)
        self._wait_for_pending = wait_for_pending
        size = self.config.h11_max_incomplete_size
        self.connection = SingleRequestConnection(h11.SERVER, max_incomplete_event_size=size)

    @property
    def has_whole_request(self) -> bool:
        """Whether the request is complete; a WebSocket never is."""
        connection = self.connection
        return isinstance(connection, SingleRequestConnection) and not connection.is_reading

    async def _ends_early(self) -> bool:
        """Return whether a response now comes before the end of its request."""
        connection = self.connection
        if self._is_holding_back:
            return True
        if not isinstance(connection, SingleRequestConnection):
            return False
        if not connection.is_reading:
            return connection.their_state is h11.ERROR
        data = await self._wait_for_pending()
        # The application may still read the body: only a copy can skip it.
        return len(data) > _MAX_SKIPPED_BYTES or not copy.deepcopy(connection).skip(data)

    @property
    def has_started_response(self) -> bool:
        """Whether a part of the response is on its way; 100 (Continue) is not."""
        return self.connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}

    @property
    def is_accepted(self) -> bool:
        """Whether the application has accepted the WebSocket."""
        return isinstance(self.stream, WSStream) and self.stream.handshake.accepted

    @property
    def _is_holding_back(self) -> bool:
        """Whether the client waits for a word before it sends the body."""
        return getattr(self.connection, "client_is_waiting_for_100_continue", False)

    def skip_body(self, data: bytes) -> bool:
        """Read what has come of a body that the application left; return whether it is whole."""
        connection = self.connection
        if (
            not isinstance(connection, SingleRequestConnection)
            or connection.our_state is not h11.DONE
        ):
            return False
        return connection.skip(data)

    async def send_continue(self) -> None:
        """Ask a client for the body that it holds back."""
        if self._is_holding_back:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    async def stream_send(self, event: StreamEvent) -> None:
        """Send what the application sends; the end of its response ends this protocol."""
        if isinstance(event, StreamClosed):
            await self.send(Closed())
            return
        if isinstance(event, Response):
            if _CLOSE not in event.headers and await self._ends_early():
                # The rest of the body is in the way of another request. A client that holds the
                # body back may send it or leave it out: what follows is ambiguous.
                event = Response(STREAM_ID, [*event.headers, _CLOSE], event.status_code)
            self.is_streaming = not any(name == b"content-length" for name, _ in event.headers)
        await super().stream_send(event)

    async def handle(self, event: Event) -> None:
        """Handle what the client sent; end a WebSocket whose client breaks a rule."""
        stream = self.stream
        if isinstance(stream, WSStream) and stream.handshake.accepted:
            check_frames(stream)
        try:
            await super().handle(event)
        except InvalidFramesError as error:
            assert isinstance(stream, WSStream)  # noqa: S101 - narrows the type
            await stream._send_wsproto_event(error.close)  # noqa: SLF001 - as it does itself
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Change to nothing: the strict parser has decided what the connection becomes."""

    async def _create_stream(self, request: h11.Request) -> None:
        await super()._create_stream(request)
        if isinstance(self.stream, WSStream):
            self._pinging = asyncio.create_task(_ping(self.stream))

    async def _send_error_response(self, status_code: int) -> None:
        """Send nothing for an invalid body: the application answers that the request ended."""

    def stop_pings(self) -> None:
        """Stop: Hypercorn's own pings would outlive the connection by their interval."""
        if self._pinging is not None:
            self._pinging.cancel()


async def _ping(stream: WSStream) -> None:
    with contextlib.suppress(OSError):
        while True:
            await asyncio.sleep(_PING_S)
            if stream.state is ASGIWebsocketState.CONNECTED:
                await stream._send_wsproto_event(Ping())  # noqa: SLF001 - as it does itself
