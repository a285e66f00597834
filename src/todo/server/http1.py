"""HTTP/1.1 connections with a fast path, which costs a third of Hypercorn's.

Hypercorn does for each request what only a few need: two tasks and a timer for the idle time, a
queue for the body, an event object for each step, a state machine for what is sent, one write for
head, body and end each. Here a request is one task and a response one write. A request that is not
ordinary (`todo.server.http1_parser` says which are) passes `todo.server.http1_strict_parser`, which
refuses it or names what it needs of Hypercorn; afterwards the connection comes back.
"""

import asyncio
import contextlib
import contextvars
import fcntl
import logging
import socket
import struct
import termios
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol, cast

from starlette.types import ASGIApp

from todo.core.ids import new_uuid7
from todo.db.pool_admission import WAITER
from todo.observability.logs import ACCESS_LOGGER, request_id_var
from todo.server.exchange import Exchange
from todo.server.http1_parser import Request, RequestKind, find_request
from todo.server.http1_strict_parser import Refusal, StrictParser, render_refusal
from todo.server.send_budget import SendBudget

_MAX_AHEAD_BYTES = 64 * 1024
"""What a client may send before somebody reads it; a read more may come on top."""
_READ_BYTES = 32 * 1024
# A connection that closes while its client still sends is reset, and the answer is lost. So what
# comes is thrown away until the client has read the end (RFC 9112, 9.6), or is silent for a while.
_LINGER_S = 2.0
_MAX_LINGER_S = 30.0
_LINGER_BYTES = 16 * 1024 * 1024
_FAILED = b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

# An attribute of an enumeration is looked up slowly.
_ORDINARY = RequestKind.ORDINARY

_log = logging.getLogger("todo.ordinary")
_access = logging.getLogger(ACCESS_LOGGER)


class Served(Protocol):
    """One request and its response."""

    unread: int

    @property
    def started(self) -> bool: ...  # noqa: D102
    @property
    def has_arrived(self) -> bool: ...  # noqa: D102
    @property
    def leaves_usable(self) -> bool: ...  # noqa: D102
    @property
    def surplus(self) -> bytes: ...  # noqa: D102
    def feed(self, data: bytes) -> bytes: ...  # noqa: D102
    def end(self) -> None: ...  # noqa: D102
    def end_body(self) -> None: ...  # noqa: D102
    def disconnect(self) -> None: ...  # noqa: D102
    def run(self) -> Awaitable[None]: ...  # noqa: D102


class Owner(Protocol):
    """What keeps the connections."""

    keep_alive_s: float
    send_budget: SendBudget

    def opened(self, connection: "Connection") -> None: ...  # noqa: D102
    def closed(self, connection: "Connection") -> None: ...  # noqa: D102
    def open_exchange(self, connection: "Connection", request: Request, body: bytes) -> Served:
        """Open an exchange with Hypercorn; `body` is what has come behind the head."""


class Connection(asyncio.Protocol):
    """One connection.

    Attributes:
        transport: The other end.
        template: What the scopes of all its requests share.
        busy: A request is being answered.
        waits_for_account: The request waits for a place of its account, and costs nothing.
        ended: The client sends no more.
        task: What answers, while it is busy.
    """

    def __init__(self, app: ASGIApp, owner: Owner) -> None:
        self.transport: asyncio.Transport
        self.busy = False
        self.waits_for_account = False
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        self._app = app
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self.template: dict[str, Any] = {}
        self._exchange: Served | None = None
        self._gate: StrictParser | None = None
        self._rest = b""
        self._is_paused = False
        self._has_responded = False
        self._last = False
        self._discarding = 0
        self._writable: asyncio.Future[None] | None = None
        self._idle_since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: contextlib.ExitStack | None = None
        # Of all its requests: to set a variable in each takes a fiftieth of their time in here.
        self._context = contextvars.Context()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self.transport = transport
        # asyncio's own 256 KiB, from each of a thousand connections, are more than the memory.
        cast("Any", transport).max_size = _READ_BYTES
        peer = transport.get_extra_info("socket")
        peername = transport.get_extra_info("peername")
        if peername is None and peer.family != socket.AF_UNIX:
            # Its client has reset it already. Without an address it would pass for a local one.
            transport.abort()
            return
        self.template = {
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
        self._owner.opened(self)
        self._timer = self._loop.call_later(self._owner.keep_alive_s, self._check_idle)

    @property
    def has_responded(self) -> bool:
        """Whether a response has started on it; a refusal and a handshake are responses."""
        return self._has_responded or (self._exchange is not None and self._exchange.started)

    @property
    def owes_answer(self) -> bool:
        """Whether its first request has arrived, and costs time until its response starts."""
        exchange = self._exchange
        if exchange is None or not exchange.has_arrived or self.waits_for_account:
            return False
        return not self.has_responded

    def count_unreceived(self) -> int:
        """Return how many bytes its client has not received, as far as the kernel knows."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            return 0
        # The kernel's own queue shrinks long before it takes more.
        peer = self.transport.get_extra_info("socket")
        (queued,) = struct.unpack("i", fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, bytes(4)))
        return unsent + int(queued)

    @property
    def is_leaving(self) -> bool:
        """Whether its client may not have received all of an answer that was written."""
        return self._discarding > 0 or self.transport.get_write_buffer_size() > 0

    @property
    def idle_since(self) -> tuple[bool, float]:
        """Sorts connections that are not busy: idle ones first, the longest idle before others.

        One that has sent a part of a head comes behind them, by the time of its last byte.
        """
        return self._gate is not None and not self._gate.is_empty, self._idle_since

    def data_received(self, data: bytes) -> None:
        """Feed what the client sent to its request, or to the parser."""
        exchange = self._exchange
        if exchange is None:
            if self._gate is None and not self._discarding:
                self._begin(data)
            else:
                self._continue(data)
            return
        self._idle_since = self._loop.time()
        ahead = exchange.feed(data)
        if ahead:
            self._rest += ahead
        if self._is_too_far_ahead:
            self._is_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer the requests of a client that sends no more."""
        self.ended = True
        if self._exchange is not None:
            self._exchange.end()
            return True
        if self._gate is None or self._gate.is_empty or self._discarding:
            return False
        self._refuse(Refusal(400, "The connection ended in the header of a request."))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody that waits."""
        del exc
        self.ended = True
        # What is behind the request has nobody to answer to.
        self._last = True
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange is not None:
            self._exchange.disconnect()
        self._rest = b""
        if self._leaving is not None:
            self._leaving.close()
        # It contains this connection.
        self._context = contextvars.Context()
        self.resume_writing()
        self._owner.closed(self)

    def pause_writing(self) -> None:
        """Hold the application back: the client reads too slowly."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let it continue."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def finish(self) -> None:
        """Close the connection once it is idle."""
        self._last = True
        if self._exchange is None:
            self._shut()

    def end_stalled_request(self, silent_since: float) -> None:
        """End a request whose body has made no progress since a time of the loop: the server stops.

        A request that is complete is answered as usual.
        """
        exchange = self._exchange
        if exchange is not None and not exchange.started and self._idle_since <= silent_since:
            exchange.end_body()

    def write(self, data: bytes) -> Coroutine[Any, Any, None] | None:
        """Send; return a wait for the client where it is behind, which is seldom."""
        self.transport.write(data)
        return None if self._writable is None else self._wait_until_writable(self._writable)

    async def _wait_until_writable(self, writable: asyncio.Future[None]) -> None:
        with self._owner.send_budget.waiting(self.transport):
            # Others may wait for it as well: a writer that gives up must not end their wait.
            await asyncio.shield(writable)

    @property
    def _is_too_far_ahead(self) -> bool:
        unread = 0 if self._exchange is None else self._exchange.unread
        return len(self._rest) + unread > _MAX_AHEAD_BYTES

    def resume_reading(self) -> None:
        """Read on, where `data_received` had stopped and enough of it has been handled."""
        if self._is_paused and not self.ended and not self._is_too_far_ahead:
            self._is_paused = False
            self.transport.resume_reading()

    def _begin(self, data: bytes) -> None:
        request = find_request(data)
        if request is None:
            self._gate = StrictParser()
            self._continue(data)
        else:
            self._start(request, data)

    def _continue(self, data: bytes) -> None:
        """Parse more of a head, or discard what comes behind the last response."""
        if self._gate is None:
            self._discarding -= len(data)
            if self._discarding <= 0:
                self._shut()
            return
        self._idle_since = self._loop.time()
        found = self._gate.feed(data)
        if isinstance(found, Refusal):
            self._refuse(found)
        elif found is not None:
            data = self._gate.received()
            self._gate = None
            self._start(found, data)

    def _start(self, request: Request, data: bytes) -> None:
        if request.kind is _ORDINARY:
            end = request.size + request.length
            exchange: Served = Exchange(self, self._app, request, data[request.size : end])
            self._rest = data[end:]
            if end > len(data):
                self._idle_since = self._loop.time()
        else:
            self._idle_since = self._loop.time()
            exchange = self._owner.open_exchange(self, request, data[request.size :])
            self._rest = b""
        self._exchange = exchange
        if request.closes:
            self._last = True
        if self.ended:
            exchange.end()
        self.busy = True
        self.task = self._loop.create_task(self._serve(exchange), context=self._context.copy())

    async def _serve(self, exchange: Served) -> None:
        try:
            await exchange.run()
        except Exception:  # noqa: BLE001 - the boundary: the connection ends, the others continue
            _log.exception("error in the application")
        finally:
            self._end(exchange)

    def _end(self, exchange: Served) -> None:
        self.busy = False
        self._has_responded = True
        self._exchange = None
        self.task = None
        self._idle_since = self._loop.time()
        if not exchange.started:
            self.transport.write(_FAILED)
        if not exchange.leaves_usable or self._last:
            self._close()
            return
        rest = exchange.surplus + self._rest if exchange.surplus else self._rest
        if rest:
            self._rest = b""
            self._begin(rest)
        self.resume_reading()
        if self.ended and self._exchange is None:
            if self._gate is not None and not self._gate.is_empty:
                self.eof_received()
            self._close()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what never reaches the application, and close."""
        self._has_responded = True
        request_id = new_uuid7().hex
        token = request_id_var.set(request_id)
        client = self.template["client"]
        extra = {"status": refusal.status, "client": client[0] if client else "unix"}
        _access.info("not a request", extra=extra)
        request_id_var.reset(token)
        self.transport.write(render_refusal(refusal, request_id))
        self._close()

    def _close(self) -> None:
        """Close the connection for writing now, and entirely when the client has seen that."""
        self._gate = None
        self._rest = b""
        if self._timer is not None:
            self._timer.cancel()
        if self.ended or self.transport.is_closing():
            self._shut()
            return
        self._discarding = _LINGER_BYTES
        try:
            self.transport.write_eof()
        except OSError:
            # Its client has reset it, which nobody saw while reading was paused.
            self.transport.abort()
            return
        self.resume_reading()
        self._linger(0, self._loop.time() + _MAX_LINGER_S)

    def _shut(self) -> None:
        """Close the connection; what its client has not received yet is in the send budget."""
        self.transport.close()
        if self._leaving is None and self.transport.get_write_buffer_size():
            self._leaving = contextlib.ExitStack()
            self._leaving.enter_context(self._owner.send_budget.waiting(self.transport))

    def _linger(self, left: int, ends_at: float) -> None:
        """Close the connection when its client has been silent, or has sent for too long."""
        if self._discarding == left or self._loop.time() > ends_at:
            self._shut()
        else:
            self._timer = self._loop.call_later(_LINGER_S, self._linger, self._discarding, ends_at)

    def _check_idle(self) -> None:
        """Close the connection when it was idle for too long; otherwise look again in time."""
        keep_s = self._owner.keep_alive_s
        rest_s = keep_s if self.busy else self._idle_since + keep_s - self._loop.time()
        if rest_s <= 0:
            self._shut()
        else:
            self._timer = self._loop.call_later(rest_s, self._check_idle)


def _find_address(family: int, name: Any) -> tuple[str, int] | None:  # noqa: ANN401 - a socket's
    """Return host and port as ASGI has them; None for a Unix socket."""
    return None if family == socket.AF_UNIX else (name[0], name[1])
