"""Hypercorn's HTTP/1.1 protocol for one request or one WebSocket, without the upgrade to HTTP/2."""

import asyncio
import contextlib
import copy
from collections.abc import Awaitable, Callable
from typing import Any

import h11
from hypercorn.events import Closed, Event
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from wsproto.events import Ping

from todo.server.h11_request import SingleRequestConnection
from todo.server.websocket_frames import InvalidFramesError, check_frames

# Below the idle timeout of common proxies. Unacknowledged pings reveal a vanished client.
_PING_S = 20
# Maximum unread rest of a body that is skipped. A one-byte chunk costs as much as a large one.
_MAX_SKIPPED_BYTES = 8 * 1024
_CLOSE = (b"connection", b"close")


class SingleRequestProtocol(H11Protocol):
    """Hypercorn's HTTP/1.1 protocol, limited to one request.

    `wait_for_pending` waits for a turn and returns the received bytes that are not handled yet.
    """

    _pinging: asyncio.Task[None] | None = None
    is_streaming = False  # Whether a response without a length has started.

    def __init__(
        self,
        wait_for_pending: Callable[[], Awaitable[bytes]],
        *arguments: Any,  # noqa: ANN401 - Hypercorn's own
    ) -> None:
        super().__init__(*arguments)
        self._wait_for_pending = wait_for_pending
        size = self.config.h11_max_incomplete_size
        self.connection = SingleRequestConnection(h11.SERVER, max_incomplete_event_size=size)

    @property
    def request_complete(self) -> bool:
        """Whether the request is complete; a WebSocket never is."""
        connection = self.connection
        return isinstance(connection, SingleRequestConnection) and not connection.is_reading

    async def _responds_early(self) -> bool:
        """Return whether a response that starts now would precede the end of its request."""
        connection = self.connection
        if self._waits_for_continue:
            return True
        if not isinstance(connection, SingleRequestConnection):
            return False
        if not connection.is_reading:
            return connection.their_state is h11.ERROR
        data = await self._wait_for_pending()
        # The application may still read the body, so only a copy of the parser skips it.
        return len(data) > _MAX_SKIPPED_BYTES or not copy.deepcopy(connection).skip(data)

    @property
    def response_started(self) -> bool:
        """Whether part of the response has been sent; 100 (Continue) does not count."""
        return self.connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}

    @property
    def websocket_accepted(self) -> bool:
        """Whether the application has accepted the WebSocket."""
        return isinstance(self.stream, WSStream) and self.stream.handshake.accepted

    @property
    def _waits_for_continue(self) -> bool:
        """Whether the client waits for 100 (Continue) before it sends the body."""
        return getattr(self.connection, "client_is_waiting_for_100_continue", False)

    def skip_body(self, data: bytes) -> bool:
        """Skip the received part of an unread body; return whether the body is complete."""
        connection = self.connection
        if (
            not isinstance(connection, SingleRequestConnection)
            or connection.our_state is not h11.DONE
        ):
            return False
        return connection.skip(data)

    async def send_continue(self) -> None:
        """Send 100 (Continue) to a client that waits for it."""
        if self._waits_for_continue:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    async def stream_send(self, event: StreamEvent) -> None:
        """Send an event of the application; the end of its response ends this protocol."""
        if isinstance(event, StreamClosed):
            await self.send(Closed())
            return
        if isinstance(event, Response):
            if _CLOSE not in event.headers and await self._responds_early():
                # The rest of the body would precede the next request. A client that waits for 100
                # (Continue) may send the body or omit it, so the next bytes are ambiguous.
                event = Response(STREAM_ID, [*event.headers, _CLOSE], event.status_code)
            self.is_streaming = not any(name == b"content-length" for name, _ in event.headers)
        await super().stream_send(event)

    async def handle(self, event: Event) -> None:
        """Handle received data; close a WebSocket whose client sends invalid frames."""
        stream = self.stream
        if isinstance(stream, WSStream) and stream.handshake.accepted:
            check_frames(stream)
        try:
            await super().handle(event)
        except InvalidFramesError as error:
            assert isinstance(stream, WSStream)  # noqa: S101 - narrows the type
            await stream._send_wsproto_event(error.close)  # noqa: SLF001 - as Hypercorn does
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Ignore upgrades: the strict parser has already selected the protocol."""

    async def _create_stream(self, request: h11.Request) -> None:
        await super()._create_stream(request)
        if isinstance(self.stream, WSStream):
            self._pinging = asyncio.create_task(_ping(self.stream))

    async def _send_error_response(self, status_code: int) -> None:
        """Send nothing for an invalid body: the application reports the incomplete request."""

    def stop_pings(self) -> None:
        """Stop the pings; Hypercorn's own would outlive the connection by one interval."""
        if self._pinging is not None:
            self._pinging.cancel()


async def _ping(stream: WSStream) -> None:
    with contextlib.suppress(OSError):
        while True:
            await asyncio.sleep(_PING_S)
            if stream.state is ASGIWebsocketState.CONNECTED:
                await stream._send_wsproto_event(Ping())  # noqa: SLF001 - as Hypercorn does
