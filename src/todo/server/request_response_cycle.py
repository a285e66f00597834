"""Request-response cycle of the fast path: one request, one response."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from todo.api.request_body import BODY_ARRIVED, ENDS_WITH_CLIENT
from todo.server.http1_parser import Request, ResponseHead, is_bodiless, render_head

if TYPE_CHECKING:
    from todo.server.http1 import Connection

_MAX_JOINED_BYTES = 128 * 1024
"""Maximum size of a body that is written with its head; joining the two copies it."""
_DISCONNECT: Message = {"type": "http.disconnect"}


class RequestResponseCycle:
    """One request and its response; `feed` returns later bytes, so `trailing_data` is empty."""

    __slots__ = (
        "_app",
        "_body_delivered",
        "_body_parts",
        "_connection",
        "_disconnected",
        "_eof",
        "_extensions",
        "_head",
        "_missing_bytes",
        "_request",
        "_sent_bytes",
        "_start_message",
        "_waiter",
        "response_complete",
        "response_started",
        "unread_bytes",
    )

    trailing_data = b""

    def __init__(
        self, connection: "Connection", app: ASGIApp, request: Request, body: bytes
    ) -> None:
        self._connection = connection
        self._app = app
        self._request = request
        self._body_parts = [body] if body else []
        self._missing_bytes = request.content_length - len(body)
        self._body_delivered = False
        self._disconnected = False
        self._eof = False
        self._waiter: asyncio.Future[None] | None = None
        self._start_message: Message | None = None
        self._head: ResponseHead | None = None
        self._sent_bytes = 0
        self.response_started = False
        self._extensions: dict[str, object] = {}
        self.response_complete = False
        self.unread_bytes = len(body)

    def run_asgi(self) -> Awaitable[None]:
        """Call the application; the request has been served when the call returns."""
        request = self._request
        path, _, query = request.target.partition(b"?")
        scope = {
            **self._connection.base_scope,
            "method": request.method,
            "path": unquote(path.decode()) if b"%" in path else path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": request.headers,
            "state": {},
            "extensions": self._extensions,
            BODY_ARRIVED: not self._missing_bytes,
        }
        return self._app(scope, self.receive, self.send)

    @property
    def request_complete(self) -> bool:
        """Whether the whole request has arrived."""
        return not self._missing_bytes

    @property
    def keep_alive(self) -> bool:
        """Whether another request can follow on the connection."""
        head = self._head
        return (
            self.response_complete
            and not self._missing_bytes
            and head is not None
            and not head.closes
        )

    def feed(self, data: bytes) -> bytes:
        """Queue the bytes of the body; return the bytes after it."""
        part = data[: self._missing_bytes]
        if part:
            self._missing_bytes -= len(part)
            self._body_parts.append(part)
            self.unread_bytes += len(part)
            self._wake()
        return data[len(part) :]

    def feed_eof(self) -> None:
        """Note that the client has finished sending.

        It still receives its response, except streams and responses with ENDS_WITH_CLIENT: most
        clients that end a stream close the connection, which looks the same.
        """
        self._eof = True
        head = self._head
        if self._missing_bytes or (head is not None and head.content_length is None):
            self.disconnect()
        elif self._body_delivered:
            self._wake()

    def abandon_body(self) -> None:
        """Stop waiting for the body; complete requests are served as usual."""
        if self._missing_bytes:
            self.feed_eof()

    def disconnect(self) -> None:
        """Note that the client has disconnected."""
        self._disconnected = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        """Return the body as it arrives; then wait until the client disconnects."""
        while not self._body_delivered:
            if self._body_parts or not self._missing_bytes:
                body = b"".join(self._body_parts)
                self._body_parts.clear()
                self.unread_bytes = 0
                self._body_delivered = not self._missing_bytes
                self._connection.resume_reading()
                return {"type": "http.request", "body": body, "more_body": not self._body_delivered}
            if self._disconnected:
                return _DISCONNECT
            await self._wait()
        while not self._disconnected and not self.response_complete:
            if self._eof and ENDS_WITH_CLIENT in self._extensions:
                break
            await self._wait()
        return _DISCONNECT

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def send(self, message: Message) -> None:
        """Send the response, in one write if the application sends it in one piece.

        Raises:
            RuntimeError: The message is invalid in the current state of the response.
            ValueError: The size of the body differs from `content-length`, or a header is invalid.
        """
        if message["type"] == "http.response.start" and self._start_message is None:
            self._start_message = message
            return
        start = self._start_message
        if message["type"] != "http.response.body" or start is None or self.response_complete:
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        body: bytes = message.get("body", b"")
        more_body: bool = message.get("more_body", False)
        method, status = self._request.method, start["status"]
        head = self._head
        if head is None:
            head = self._head = self._render_head(start, None if more_body else len(body))
        announced = head.content_length
        if announced is None:
            data = _render_chunk(body, more_body=more_body)
        else:
            data = b"" if is_bodiless(method, status) else body
            self._sent_bytes += len(data)
            if self._sent_bytes > announced or (not more_body and self._sent_bytes < announced):
                raise ValueError(f"a body of {self._sent_bytes} bytes, announced with {announced}")
        if not self.response_started:
            self.response_started = True
            is_small = len(data) <= _MAX_JOINED_BYTES
            data = head.data + data if is_small else self._write_head(head, data)
        if not more_body:
            self.response_complete = True
            self._wake()
        if data and not self._connection.transport.is_closing():
            drain = self._connection.flow.write(data)
            if drain is not None:
                await drain

    def _render_head(self, start: Message, body_length: int | None) -> ResponseHead:
        headers = start.get("headers", ())
        if self._missing_bytes or self._request.closes:
            # The unread rest of the body would precede the next request.
            headers = [*headers, (b"connection", b"close")]
        head = render_head(self._request.method, start["status"], headers, body_length)
        if self._eof and head.content_length is None:
            self.disconnect()
        return head

    def _write_head(self, head: ResponseHead, data: bytes) -> bytes:
        self._connection.transport.write(head.data)
        return data


def _render_chunk(body: bytes, *, more_body: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk if more_body else chunk + b"0\r\n\r\n"
