"""Hypercorn's connections behind our own accept and drain.

Hypercorn's `serve()` closes its listening sockets and every connection without a request in
progress in the same moment, so that a client whose connection was just accepted, and whose
request is still on the way, is cut off. Here accepting stops first, and a connection is closed
only after its first answer.
"""

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any, cast

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, Updated
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from todo.sockets import BACKLOG

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

# How long an accepted connection may keep its first request back when the server stops.
FIRST_REQUEST_GRACE_S = 1.0
_POLL_S = 0.01
# An accepted socket needs three turns of the loop until its connection is known.
_QUIET_POLLS = 5


class _Connection(TCPServer):
    """One connection that knows whether it owes an answer."""

    busy = False
    answered = False

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated):
            self.busy = not event.idle
            self.answered = self.answered or event.idle
        elif isinstance(event, Closed):
            self.busy = False
            self.answered = True
        await super().protocol_send(event)


class Listener:
    """One application on some sockets."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], config: Config) -> None:
        self._app = wrap_app(cast("ASGIFramework", app), 0, "asgi")
        self._sockets = sockets
        self._config = config
        self._context = WorkerContext(None)
        self._servers: list[asyncio.Server] = []
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Begin to accept."""
        for listener in self._sockets:
            self._servers.append(
                await asyncio.start_server(self._serve, sock=listener, backlog=BACKLOG)
            )

    def stop_accepting(self) -> None:
        """Leave new connections in the kernel's queue, for the successor or the drain's end."""
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            loop.remove_reader(listener.fileno())

    async def drain(self, deadline: float) -> None:
        """Wait until every accepted connection has had its answer, then close them all.

        Args:
            deadline: When to give up on open requests, in seconds of `time.monotonic()`.
        """
        grace_ends = min(deadline, time.monotonic() + FIRST_REQUEST_GRACE_S)
        quiet = 0
        while quiet < _QUIET_POLLS and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            in_grace = time.monotonic() < grace_ends
            owing = any(c.busy or (in_grace and not c.answered) for c in self._connections)
            quiet = 0 if owing else quiet + 1
        # Idle connections end now.
        await self._context.terminated.set()
        for server in self._servers:
            server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.1, deadline - time.monotonic()))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.2)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - narrows the type
        loop = asyncio.get_running_loop()
        connection = _Connection(self._app, loop, self._config, self._context, {}, reader, writer)
        self._connections.add(connection)
        self._tasks.add(task)
        try:
            await connection
        finally:
            self._connections.discard(connection)
            self._tasks.discard(task)
