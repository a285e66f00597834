"""Connections whose requests are ordinary, which nearly all are, answered at a third of the cost.

Hypercorn does for each request what only a few need: two tasks and a timer for the idle time, a
queue for the body, an event object for each step, a state machine for what is sent, one write for
head, body and end each. Here a request is one task and a response one write. The first request that
is not ordinary (`todo.head` says which are) takes its connection to Hypercorn, for good.
"""

import asyncio
import logging
from typing import Any, Protocol
from urllib.parse import unquote

from hypercorn.utils import parse_socket_addr
from starlette.types import ASGIApp, Message, Scope

from todo.head import Request, Response, find_request, is_bodiless, is_unfinished, render_response

_MAX_AHEAD_BYTES = 64 * 1024
"""What a client may send before somebody reads it."""
_DISCONNECT: Message = {"type": "http.disconnect"}
_FAILED = b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

_log = logging.getLogger("todo.ordinary")


class Owner(Protocol):
    """What keeps the connections."""

    keep_alive_s: float

    def opened(self, connection: "Connection") -> None: ...  # noqa: D102
    def closed(self, connection: "Connection") -> None: ...  # noqa: D102
    def take_over(self, connection: "Connection", data: bytes) -> None:
        """Serve the rest of the connection some other way; `data` has come already."""


class Connection(asyncio.Protocol):
    """One connection.

    Attributes:
        transport: The other end.
        busy: A request is being answered.
        answered: One has been.
        ended: The client sends no more.
        task: What answers, while it is busy.
    """

    def __init__(self, app: ASGIApp, owner: Owner) -> None:
        self.transport: asyncio.Transport
        self.busy = False
        self.answered = False
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        self._app = app
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._template: dict[str, Any] = {}
        self._exchange: Exchange | None = None
        self._rest = b""
        self._last = False
        self._writable: asyncio.Future[None] | None = None
        self._idle_since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self.transport = transport
        peer = transport.get_extra_info("socket")
        self._template = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "scheme": "http",
            "root_path": "",
            "client": parse_socket_addr(peer.family, transport.get_extra_info("peername")),
            "server": parse_socket_addr(peer.family, transport.get_extra_info("sockname")),
        }
        self._owner.opened(self)
        self._timer = self._loop.call_later(self._owner.keep_alive_s, self._check_idle)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._exchange is None:
            self._begin(self._rest + data if self._rest else data)
            return
        ahead = self._exchange.feed(data)
        if ahead:
            self._rest += ahead
        if len(self._rest) + self._exchange.unread > _MAX_AHEAD_BYTES:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Go on to answer a client that sends no more."""
        self.ended = True
        if self._exchange is not None:
            self._exchange.disconnect()
        elif self._rest:
            self._hand_over(self._rest)
        else:
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody that waits."""
        del exc
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange is not None:
            self._exchange.disconnect()
        self.resume_writing()
        self._owner.closed(self)

    def pause_writing(self) -> None:
        """Hold the application back: the client reads too slowly."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let it go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def finish(self) -> None:
        """Close the connection once it is idle."""
        self._last = True
        if self._exchange is None:
            self.transport.close()

    async def write(self, data: bytes) -> None:
        """Send; wait while the client is behind."""
        self.transport.write(data)
        if self._writable is not None:
            await self._writable

    def resume_reading(self) -> None:
        """Read on, where `data_received` had stopped."""
        if not self.transport.is_reading() and not self.ended:
            self.transport.resume_reading()

    def _begin(self, data: bytes) -> None:
        request = find_request(data)
        if request is None:
            if is_unfinished(data):
                self._rest = data
            else:
                self._hand_over(data)
            return
        end = request.size + request.length
        self._rest = data[end:]
        self._exchange = Exchange(self, request, data[request.size : end])
        self.busy = True
        path, _, query = request.target.partition(b"?")
        scope = {
            **self._template,
            "method": request.method,
            "path": unquote(path.decode()) if b"%" in path else path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": request.headers,
            "state": {},
            "extensions": {},
        }
        self.task = self._loop.create_task(self._serve(self._exchange, scope))

    async def _serve(self, exchange: "Exchange", scope: Scope) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001 - the boundary: the connection ends, the others go on
            _log.exception("error in the application")
        finally:
            self._end(exchange)

    def _end(self, exchange: "Exchange") -> None:
        self.busy = False
        self.answered = True
        self._exchange = None
        self.task = None
        self._idle_since = self._loop.time()
        if not exchange.started:
            self.transport.write(_FAILED)
        if not exchange.leaves_usable or self.ended or self._last:
            self.transport.close()
            return
        self.resume_reading()
        if self._rest:
            self._begin(self._rest)

    def _hand_over(self, data: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._owner.take_over(self, data)

    def _check_idle(self) -> None:
        """Close the connection when it was idle for too long; otherwise look again in time."""
        keep_s = self._owner.keep_alive_s
        rest_s = keep_s if self.busy else self._idle_since + keep_s - self._loop.time()
        if rest_s <= 0:
            self.transport.close()
        else:
            self._timer = self._loop.call_later(rest_s, self._check_idle)


class Exchange:
    """One request and its response, as ASGI has it."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_delivered",
        "_disconnected",
        "_is_written",
        "_missing",
        "_request",
        "_response",
        "_sent",
        "_start",
        "_waiting",
        "complete",
        "unread",
    )

    def __init__(self, connection: Connection, request: Request, body: bytes) -> None:
        self._connection = connection
        self._request = request
        self._chunks = [body] if body else []
        self._missing = request.length - len(body)
        self._delivered = False
        self._disconnected = False
        self._waiting: asyncio.Future[None] | None = None
        self._start: Message | None = None
        self._response: Response | None = None
        self._sent = 0
        self._is_written = False
        self.complete = False
        self.unread = len(body)

    @property
    def started(self) -> bool:
        """Whether a part of the response is on its way."""
        return self._is_written

    @property
    def leaves_usable(self) -> bool:
        """Whether another request can follow on the connection."""
        response = self._response
        return self.complete and not self._missing and response is not None and not response.closes

    def feed(self, data: bytes) -> bytes:
        """Take what belongs to the body; return what is behind it."""
        part = data[: self._missing]
        if part:
            self._missing -= len(part)
            self._chunks.append(part)
            self.unread += len(part)
            self._wake()
        return data[len(part) :]

    def disconnect(self) -> None:
        """The client is gone, or sends no more."""
        self._disconnected = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def receive(self) -> Message:
        """Hand out the body as it comes; then wait until the client is gone."""
        while not self._delivered:
            if self._chunks or not self._missing:
                body = b"".join(self._chunks)
                self._chunks.clear()
                self.unread = 0
                self._delivered = not self._missing
                self._connection.resume_reading()
                return {"type": "http.request", "body": body, "more_body": not self._delivered}
            if self._disconnected:
                return _DISCONNECT
            await self._wait()
        while not self._disconnected and not self.complete:
            await self._wait()
        return _DISCONNECT

    async def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    async def send(self, message: Message) -> None:
        """Send the response: as one piece, where the application has it as one.

        Raises:
            RuntimeError: The message does not fit in here.
            ValueError: The response contradicts itself.
        """
        if message["type"] == "http.response.start" and self._start is None:
            self._start = message
            return
        start = self._start
        if message["type"] != "http.response.body" or start is None or self.complete:
            raise RuntimeError(f"{message['type']} has no place here")
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        method, status = self._request.method, start["status"]
        if self._response is None:
            length = None if more else len(body)
            self._response = render_response(method, status, start.get("headers", ()), length)
        announced = self._response.length
        if announced is None:
            data = _as_chunk(body, more=more)
        else:
            data = b"" if is_bodiless(method, status) else body
            self._sent += len(data)
            if self._sent > announced or (not more and self._sent < announced):
                raise ValueError(f"a body of {self._sent} bytes, announced with {announced}")
        if not self._is_written:
            data = self._response.head + data
            self._is_written = True
        if not more:
            self.complete = True
            self._wake()
        if data and not self._connection.transport.is_closing():
            await self._connection.write(data)


def _as_chunk(body: bytes, *, more: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk if more else chunk + b"0\r\n\r\n"
