"""An ASGI request-response cycle of the fast path."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from todo.api.request_body import BODY_ARRIVED, ENDS_WITH_CLIENT
from todo.server.http1_parser import Request, Response, is_bodiless, render_response

if TYPE_CHECKING:
    from todo.server.http1 import Connection

_MAX_JOINED_BYTES = 128 * 1024
"""Of a body that is sent in one write with its head; a copy of a larger one costs more memory."""
_DISCONNECT: Message = {"type": "http.disconnect"}


class Exchange:
    """One request and its response.

    Attributes:
        complete: The whole response has been sent.
        unread: Bytes of the body that the application has not read.
        surplus: Always empty: `feed` returns what is behind the body.
    """

    __slots__ = (
        "_app",
        "_chunks",
        "_connection",
        "_delivered",
        "_disconnected",
        "_ended",
        "_extensions",
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

    surplus = b""

    def __init__(
        self, connection: "Connection", app: ASGIApp, request: Request, body: bytes
    ) -> None:
        self._connection = connection
        self._app = app
        self._request = request
        self._chunks = [body] if body else []
        self._missing = request.length - len(body)
        self._delivered = False
        self._disconnected = False
        self._ended = False
        self._waiting: asyncio.Future[None] | None = None
        self._start: Message | None = None
        self._response: Response | None = None
        self._sent = 0
        self._is_written = False
        self._extensions: dict[str, object] = {}
        self.complete = False
        self.unread = len(body)

    def run(self) -> Awaitable[None]:
        """Start the application for the request; it has been served when that ends."""
        request = self._request
        path, _, query = request.target.partition(b"?")
        scope = {
            **self._connection.template,
            "method": request.method,
            "path": unquote(path.decode()) if b"%" in path else path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": request.headers,
            "state": {},
            "extensions": self._extensions,
            BODY_ARRIVED: not self._missing,
        }
        return self._app(scope, self.receive, self.send)

    @property
    def started(self) -> bool:
        """Whether a part of the response is on its way."""
        return self._is_written

    @property
    def has_arrived(self) -> bool:
        """Whether nothing of the request is missing."""
        return not self._missing

    @property
    def leaves_usable(self) -> bool:
        """Whether another request can follow on the connection."""
        response = self._response
        return self.complete and not self._missing and response is not None and not response.closes

    def feed(self, data: bytes) -> bytes:
        """Queue what belongs to the body; return what is behind it."""
        part = data[: self._missing]
        if part:
            self._missing -= len(part)
            self._chunks.append(part)
            self.unread += len(part)
            self._wake()
        return data[len(part) :]

    def end(self) -> None:
        """The client sends no more.

        It gets its response, but not a stream: most who end a stream just close the connection,
        which looks the same. Neither does it get what ends with its client.
        """
        self._ended = True
        response = self._response
        if self._missing or (response is not None and response.length is None):
            self.disconnect()
        elif self._delivered:
            self._wake()

    def end_body(self) -> None:
        """No more of the body is waited for; a complete request is answered as usual."""
        if self._missing:
            self.end()

    def disconnect(self) -> None:
        """The client is gone."""
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
            if self._ended and ENDS_WITH_CLIENT in self._extensions:
                break
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
            self._response = self._render_start(start, None if more else len(body))
        announced = self._response.length
        if announced is None:
            data = _as_chunk(body, more=more)
        else:
            data = b"" if is_bodiless(method, status) else body
            self._sent += len(data)
            if self._sent > announced or (not more and self._sent < announced):
                raise ValueError(f"a body of {self._sent} bytes, announced with {announced}")
        if not self._is_written:
            self._is_written = True
            head = self._response.head
            data = head + data if len(data) <= _MAX_JOINED_BYTES else self._write_first(head, data)
        if not more:
            self.complete = True
            self._wake()
        if data and not self._connection.transport.is_closing():
            behind = self._connection.write(data)
            if behind is not None:
                await behind

    def _render_start(self, start: Message, length: int | None) -> Response:
        headers = start.get("headers", ())
        if self._missing or self._request.closes:
            # The rest of a body is in the way of another request.
            headers = [*headers, (b"connection", b"close")]
        response = render_response(self._request.method, start["status"], headers, length)
        if self._ended and response.length is None:
            self.disconnect()
        return response

    def _write_first(self, head: bytes, data: bytes) -> bytes:
        """Write the head of a large body; return what is left to write."""
        self._connection.transport.write(head)
        return data


def _as_chunk(body: bytes, *, more: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk if more else chunk + b"0\r\n\r\n"
