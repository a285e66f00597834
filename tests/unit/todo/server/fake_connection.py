"""One connection to an application, without a socket."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from todo.server.http1 import Connection
from todo.server.http1_parser import Request
from todo.server.request_response_cycle import RequestResponseCycle
from todo.server.send_budget import SendBudget

GET = b"GET / HTTP/1.1\r\nHost: todo\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: todo\r\nContent-Length: 6\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """Keeps what is written, and whether the connection is read and open."""

    def __init__(self, family: int = socket.AF_UNIX, peername: str | None = "") -> None:
        super().__init__()
        self._family = family
        self._peername = peername
        self.writes: list[bytes] = []
        self.reading = True
        self.closed = False
        self.ended = False
        self.gone = asyncio.Event()
        self.unsent = 0
        self.is_reset = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        class Peer:
            family = self._family

        known = {"socket": Peer(), "peername": self._peername, "sockname": ""}
        return known.get(name, default)

    def write(self, data: Any) -> None:  # noqa: ANN401 - asyncio's own
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.closed = True
        self.ended = True

    def abort(self) -> None:
        self.gone.set()
        self.unsent = 0
        self.close()

    def write_eof(self) -> None:
        if self.is_reset:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class HypercornStandIn(RequestResponseCycle):
    """A cycle that receives everything behind the head, as that of Hypercorn does."""

    def __init__(self, connection: Connection, app: ASGIApp, request: Request, body: bytes) -> None:
        super().__init__(connection, app, request, body[: request.content_length])
        self.trailing_data = body[request.content_length :]


class FakeOwner:
    """Serves what Hypercorn would serve on the fast path, and remembers it."""

    def __init__(self, app: ASGIApp, keep_alive_s: float) -> None:
        self.keep_alive_s = keep_alive_s
        self.send_budget = SendBudget()
        self.open: set[Connection] = set()
        self.handed_over: list[str] = []
        self._app = app

    def connection_opened(self, connection: Connection) -> None:
        self.open.add(connection)

    def connection_closed(self, connection: Connection) -> None:
        self.open.discard(connection)

    def open_hypercorn_cycle(
        self, connection: Connection, request: Request, body: bytes
    ) -> RequestResponseCycle:
        self.handed_over.append(request.served_by.name)
        return HypercornStandIn(connection, self._app, request, body)


class World:
    """One connection to an application."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], keep_alive_s: float = 75.0
    ) -> None:
        self.owner = FakeOwner(app, keep_alive_s)
        self.transport = FakeTransport()
        self.connection = Connection(app, self.owner)
        self.connection.connection_made(self.transport)

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.connection.data_received(part)
            await self.rest()

    async def rest(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def bodies(self) -> list[bytes]:
        return [write.partition(b"\r\n\r\n")[2] for write in self.transport.writes]


async def answer(send: Send, *parts: bytes, headers: Any = (), status: int = 200) -> None:  # noqa: ANN401
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    for number, part in enumerate(parts, 1):
        more = number < len(parts)
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    del scope
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        if not message["more_body"]:
            break
    await answer(send, body or b"nothing")
