"""HTTP/1.1 connections: the fast path for common requests, and the life cycle of a connection.

For each request, Hypercorn creates two tasks, an idle timer, a body queue, an event object per step
and a state machine, and writes head, body and end separately. Here a request is one task and its
response one write. Requests that `todo.server.http1_parser` does not accept go to
`todo.server.http1_strict_parser`, which refuses them or selects the part of the server that serves
them; afterwards the connection continues here (docs/http.md).
"""

import asyncio
import contextlib
import contextvars
import fcntl
import logging
import socket
import struct
import termios
from collections.abc import Awaitable
from typing import Any, Protocol, cast

from starlette.types import ASGIApp

from todo.core.ids import new_uuid7
from todo.db.pool_admission import WAITER
from todo.observability.logs import ACCESS_LOGGER, request_id_var
from todo.server.flow_control import FlowControl
from todo.server.http1_parser import Request, ServedBy, find_request
from todo.server.http1_strict_parser import Refusal, StrictParser, render_refusal
from todo.server.request_response_cycle import RequestResponseCycle
from todo.server.send_budget import SendBudget

_READ_BYTES = 32 * 1024
# Closing a connection while its client still sends resets it, and the response is lost. So bytes
# are discarded until the client closes (RFC 9112, 9.6) or has been silent for a while.
_LINGER_S = 2.0
_MAX_LINGER_S = 30.0
_MAX_DISCARDED_BYTES = 16 * 1024 * 1024
_SERVER_ERROR = b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

# Looking up an enum member for every request is slow.
_FAST_PATH = ServedBy.FAST_PATH

_log = logging.getLogger("todo.http1")
_access = logging.getLogger(ACCESS_LOGGER)


class Cycle(Protocol):
    """Interface of a request-response cycle."""

    unread_bytes: int
    response_started: bool

    @property
    def request_complete(self) -> bool: ...  # noqa: D102
    @property
    def keep_alive(self) -> bool: ...  # noqa: D102
    @property
    def trailing_data(self) -> bytes: ...  # noqa: D102
    def feed(self, data: bytes) -> bytes: ...  # noqa: D102
    def feed_eof(self) -> None: ...  # noqa: D102
    def abandon_body(self) -> None: ...  # noqa: D102
    def disconnect(self) -> None: ...  # noqa: D102
    def run_asgi(self) -> Awaitable[None]: ...  # noqa: D102


class ConnectionOwner(Protocol):
    """Interface of the listener that owns the connections."""

    keep_alive_s: float
    send_budget: SendBudget

    def connection_opened(self, connection: "Connection") -> None: ...  # noqa: D102
    def connection_closed(self, connection: "Connection") -> None: ...  # noqa: D102
    def open_hypercorn_cycle(
        self, connection: "Connection", request: Request, body: bytes
    ) -> Cycle:
        """Create a cycle that Hypercorn serves; `body` is the data received after the head."""


class Connection(asyncio.Protocol):
    """Protocol of one client connection, which serves its requests one after the other.

    Attributes:
        base_scope: Part of the ASGI scope that all requests share.
        waits_for_account: Whether the request waits for other requests of its account.
        eof: Whether the client has finished sending.
    """

    def __init__(self, app: ASGIApp, owner: ConnectionOwner) -> None:
        self.transport: asyncio.Transport
        self.flow: FlowControl
        self.waits_for_account = False
        self.eof = False
        self.task: asyncio.Task[None] | None = None
        self._app = app
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self.base_scope: dict[str, Any] = {}
        self._cycle: Cycle | None = None
        self._strict_parser: StrictParser | None = None
        self._pipelined = b""
        self._has_responded = False
        self._keep_alive = True
        self._bytes_to_discard = 0
        self._idle_since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._budget_entry: contextlib.ExitStack | None = None
        # Shared by all requests: setting a context variable for each costs 2 % of their time.
        self._context = contextvars.Context()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up the connection and start its idle timer."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self.transport = transport
        self.flow = FlowControl(transport, self._owner.send_budget)
        # asyncio's default of 256 KiB, times a thousand connections, exceeds the memory limit.
        cast("Any", transport).max_size = _READ_BYTES
        peer = transport.get_extra_info("socket")
        peername = transport.get_extra_info("peername")
        if peername is None and peer.family != socket.AF_UNIX:
            # The client has already reset it. Without an address it would count as a local client.
            transport.abort()
            return
        self.base_scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "scheme": "http",
            "root_path": "",
            "client": _find_address(peer.family, peername),
            "server": _find_address(peer.family, transport.get_extra_info("sockname")),
        }
        self._context = contextvars.copy_context()
        self._context.run(WAITER.set, self)
        self._owner.connection_opened(self)
        self._timer = self._loop.call_later(self._owner.keep_alive_s, self._check_idle)

    @property
    def busy(self) -> bool:
        """Whether a request is being served."""
        return self._cycle is not None

    @property
    def has_responded(self) -> bool:
        """Whether a response, a refusal or a handshake has started on this connection."""
        return self._has_responded or (self._cycle is not None and self._cycle.response_started)

    @property
    def owes_first_response(self) -> bool:
        """Whether the first request is complete and its response has not started."""
        cycle = self._cycle
        if cycle is None or not cycle.request_complete or self.waits_for_account:
            return False
        return not self.has_responded

    def count_unreceived(self) -> int:
        """Return the number of bytes not received by the client, as far as the kernel knows."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            return 0
        # The kernel's own queue shrinks long before it accepts more data.
        peer = self.transport.get_extra_info("socket")
        (queued,) = struct.unpack("i", fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, bytes(4)))
        return unsent + int(queued)

    @property
    def is_flushing(self) -> bool:
        """Whether part of a response may not have reached the client yet."""
        return self._bytes_to_discard > 0 or self.transport.get_write_buffer_size() > 0

    @property
    def idle_since(self) -> tuple[bool, float]:
        """Sort key of connections without a request in progress: the longest idle one sorts first.

        Connections with a partial head sort last, by the time of their last byte.
        """
        parser = self._strict_parser
        return parser is not None and not parser.is_empty, self._idle_since

    def data_received(self, data: bytes) -> None:
        """Pass received bytes to the current request or to a parser."""
        cycle = self._cycle
        if cycle is None:
            if self._strict_parser is not None:
                self._parse_strictly(self._strict_parser, data)
            elif self._bytes_to_discard:
                self._discard(data)
            else:
                self._parse(data)
            return
        self._idle_since = self._loop.time()
        pipelined = cycle.feed(data)
        if pipelined:
            self._pipelined += pipelined
        self.flow.pause_reading_above(len(self._pipelined) + cycle.unread_bytes)

    def eof_received(self) -> bool:
        """Serve the requests that have arrived; refuse an incomplete head."""
        self.eof = True
        if self._cycle is not None:
            self._cycle.feed_eof()
            return True
        parser = self._strict_parser
        if parser is None or parser.is_empty or self._bytes_to_discard:
            return False
        self._refuse(Refusal(400, "The connection was closed within the header of a request."))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the current request and the owner, and wake waiting writers."""
        del exc
        self.eof = True
        # Pipelined requests no longer have a client.
        self._keep_alive = False
        if self._timer is not None:
            self._timer.cancel()
        if self._cycle is not None:
            self._cycle.disconnect()
        self._pipelined = b""
        if self._budget_entry is not None:
            self._budget_entry.close()
        # The old context refers to this connection, which would be a reference cycle.
        self._context = contextvars.Context()
        self.flow.resume_writing()
        self._owner.connection_closed(self)

    def pause_writing(self) -> None:
        """Make the application wait: the client reads too slowly."""
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        """Wake the application's waiting writes."""
        self.flow.resume_writing()

    def resume_reading(self) -> None:
        """Resume reading if the application has read enough."""
        if not self.eof:
            unread = 0 if self._cycle is None else self._cycle.unread_bytes
            self.flow.resume_reading_below(len(self._pipelined) + unread)

    def close_when_idle(self) -> None:
        """Close the connection after the current response, or now if it is idle."""
        self._keep_alive = False
        if self._cycle is None:
            self._close_transport()

    def end_stalled_request(self, silent_since: float) -> None:
        """Abandon a request whose body has stalled since `silent_since`, because the server stops.

        `silent_since` is a time of the event loop's clock. Complete requests are served as usual.
        """
        cycle = self._cycle
        if cycle is not None and not cycle.response_started and self._idle_since <= silent_since:
            cycle.abandon_body()

    def _parse(self, data: bytes) -> None:
        request = find_request(data)
        if request is None:
            self._strict_parser = StrictParser()
            self._parse_strictly(self._strict_parser, data)
        else:
            self._start_cycle(request, data)

    def _parse_strictly(self, parser: StrictParser, data: bytes) -> None:
        """Parse the next bytes of a head that is incomplete or not on the fast path."""
        self._idle_since = self._loop.time()
        found = parser.feed(data)
        if isinstance(found, Refusal):
            self._refuse(found)
        elif found is not None:
            self._strict_parser = None
            self._start_cycle(found, parser.received())

    def _discard(self, data: bytes) -> None:
        self._bytes_to_discard -= len(data)
        if self._bytes_to_discard <= 0:
            self._close_transport()

    def _start_cycle(self, request: Request, data: bytes) -> None:
        body_start = request.head_size
        if request.served_by is _FAST_PATH:
            end = body_start + request.content_length
            body = data[body_start:end]
            cycle: Cycle = RequestResponseCycle(self, self._app, request, body)
            self._pipelined = data[end:]
            if end > len(data):
                self._idle_since = self._loop.time()
        else:
            self._idle_since = self._loop.time()
            cycle = self._owner.open_hypercorn_cycle(self, request, data[body_start:])
            self._pipelined = b""
        self._cycle = cycle
        if request.closes:
            self._keep_alive = False
        if self.eof:
            cycle.feed_eof()
        self.task = self._loop.create_task(self._run(cycle), context=self._context.copy())

    async def _run(self, cycle: Cycle) -> None:
        try:
            await cycle.run_asgi()
        except Exception:  # noqa: BLE001 - the boundary: the connection ends, the others continue
            _log.exception("error in the application")
        finally:
            self._on_cycle_complete(cycle)

    def _on_cycle_complete(self, cycle: Cycle) -> None:
        self._has_responded = True
        self._cycle = None
        self.task = None
        self._idle_since = self._loop.time()
        if not cycle.response_started:
            self.transport.write(_SERVER_ERROR)
        if not cycle.keep_alive or not self._keep_alive:
            self._close_lingering()
            return
        trailing = cycle.trailing_data
        pipelined = trailing + self._pipelined if trailing else self._pipelined
        if pipelined:
            self._pipelined = b""
            self._parse(pipelined)
        if self.flow.is_read_paused:
            self.resume_reading()
        if self.eof and self._cycle is None:
            if self._strict_parser is not None and not self._strict_parser.is_empty:
                self.eof_received()
            self._close_lingering()

    def _refuse(self, refusal: Refusal) -> None:
        """Respond to a request that never reaches the application, and close."""
        self._has_responded = True
        request_id = new_uuid7().hex
        token = request_id_var.set(request_id)
        client = self.base_scope["client"]
        extra = {"status": refusal.status, "client": client[0] if client else "unix"}
        _access.info("not a request", extra=extra)
        request_id_var.reset(token)
        self.transport.write(render_refusal(refusal, request_id))
        self._close_lingering()

    def _close_lingering(self) -> None:
        """Close the sending side now, and the connection once the client has closed its side."""
        self._strict_parser = None
        self._pipelined = b""
        if self._timer is not None:
            self._timer.cancel()
        if self.eof or self.transport.is_closing():
            self._close_transport()
            return
        self._bytes_to_discard = _MAX_DISCARDED_BYTES
        try:
            self.transport.write_eof()
        except OSError:
            # The client has reset it, which goes unnoticed while reading is paused.
            self.transport.abort()
            return
        self.resume_reading()
        self._check_lingering(0, self._loop.time() + _MAX_LINGER_S)

    def _close_transport(self) -> None:
        """Close the connection; the send budget counts the bytes that are still to be sent."""
        self.transport.close()
        if self._budget_entry is None and self.transport.get_write_buffer_size():
            self._budget_entry = contextlib.ExitStack()
            self._budget_entry.enter_context(self._owner.send_budget.waiting(self.transport))

    def _check_lingering(self, to_discard: int, ends_at: float) -> None:
        """Close the connection if its client has been silent, or has sent for too long."""
        left = self._bytes_to_discard
        if left == to_discard or self._loop.time() > ends_at:
            self._close_transport()
        else:
            self._timer = self._loop.call_later(_LINGER_S, self._check_lingering, left, ends_at)

    def _check_idle(self) -> None:
        """Close the connection if it has been idle for too long; otherwise check again later."""
        keep_s = self._owner.keep_alive_s
        left_s = keep_s if self.busy else self._idle_since + keep_s - self._loop.time()
        if left_s <= 0:
            self._close_transport()
        else:
            self._timer = self._loop.call_later(left_s, self._check_idle)


def _find_address(family: int, name: Any) -> tuple[str, int] | None:  # noqa: ANN401 - a socket's
    """Return host and port as in ASGI, or None for a Unix socket."""
    return None if family == socket.AF_UNIX else (name[0], name[1])
