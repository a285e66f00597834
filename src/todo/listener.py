"""Connections behind our own accept and drain: ordinary ones, and Hypercorn's for the rest.

Hypercorn's `serve()` closes its listening sockets and every connection without a request in
progress in the same moment, so that a client whose connection was just accepted, and whose
request is still on the way, is cut off. Here accepting stops first, and a connection is closed
only after its first answer.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, Updated
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from todo.http1 import Http1
from todo.ordinary import Connection
from todo.sockets import BACKLOG

if TYPE_CHECKING:
    from hypercorn.protocol import ProtocolWrapper
    from hypercorn.typing import ASGIFramework

# How long an accepted connection may keep its first request back when the server stops.
FIRST_REQUEST_GRACE_S = 1.0
# How many young connections may wait for their first answer before the others are left in the
# kernel's queue. Enough to keep the database's pool busy; so few that a burst of thousands
# neither delays the health probe nor is lost with this process.
MAX_UNANSWERED = 32
# A connection that is silent for longer no longer counts: silence must not keep others out.
_YOUNG_S = 1.0
_POLL_S = 0.01
# Out of file descriptors, say: those of ended connections come back.
_ACCEPT_RETRY_S = 0.5
_UNRECEIVED_MS = 60_000
# An accepted socket needs two turns of the loop until its connection is known.
_QUIET_POLLS = 5

_log = logging.getLogger("todo.listener")


class _Rest(TCPServer):
    """The rest of a connection, with Hypercorn, that knows whether it owes an answer."""

    busy = False
    answered = False
    _ended = False

    async def _read_data(self) -> None:
        # Hypercorn has put its own protocol here, which would change to HTTP/2.
        wrapper = self.protocol
        http1 = Http1(
            wrapper.app,
            wrapper.config,
            wrapper.context,
            wrapper.task_group,
            wrapper.state,
            wrapper.ssl,
            wrapper.client,
            wrapper.server,
            wrapper.send,
        )
        self.protocol = cast("ProtocolWrapper", http1)
        await super()._read_data()
        # Nothing more will be asked. Hypercorn would keep a connection that its client closed
        # for sending alone until the keep-alive time is over.
        self._ended = True
        if not self.busy:
            await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated):
            self.busy = not event.idle
            self.answered = self.answered or event.idle
            if event.idle and self._ended:
                return
        elif isinstance(event, Closed):
            self.busy = False
            self.answered = True
        await super().protocol_send(event)


class Listener:
    """One application on some sockets."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], config: Config) -> None:
        self.keep_alive_s = config.keep_alive_timeout
        self._app = app
        self._wrapped = wrap_app(cast("ASGIFramework", app), 0, "asgi")
        self._sockets = sockets
        self._config = config
        self._context = WorkerContext(None)
        self._connections: dict[Connection | _Rest, float] = {}
        self._accepting = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False

    async def start(self) -> None:
        """Begin to accept."""
        for listener in self._sockets:
            listener.settimeout(0)
            listener.listen(BACKLOG)
            self._await_connections(listener)

    def stop_accepting(self) -> None:
        """Leave new connections in the kernel's queue, for the successor or the drain's end."""
        self._stopped = True
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
        self.stop_accepting()
        for listener in self._sockets:
            listener.close()
        for connection in list(self._connections):
            if isinstance(connection, Connection):
                connection.finish()
        tasks = self._find_tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.1, deadline - time.monotonic()))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.2)

    def opened(self, connection: Connection) -> None:
        """Count a connection that is there."""
        self._connections[connection] = time.monotonic()

    def closed(self, connection: Connection) -> None:
        """Forget it."""
        self._connections.pop(connection, None)

    def take_over(self, connection: Connection, data: bytes) -> None:
        """Leave the rest of a connection to Hypercorn, which reads what has come once more."""
        since = self._connections.pop(connection, time.monotonic())
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport = connection.transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        reader.feed_data(data)
        if connection.ended:
            reader.feed_eof()
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        rest = _Rest(self._wrapped, loop, self._config, self._context, {}, reader, writer)
        rest.answered = connection.answered
        self._connections[rest] = since
        self._start_task(self._serve(rest))

    def _find_tasks(self) -> set[asyncio.Task[Any]]:
        running = (c.task for c in self._connections if isinstance(c, Connection))
        return self._tasks | {task for task in running if task is not None}

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _await_connections(self, listener: socket.socket) -> None:
        if not self._stopped:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _pause(self, listener: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(seconds, self._await_connections, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection; one a turn of the loop, so that a burst holds nobody up."""
        if self._is_full():
            self._pause(listener, _POLL_S)
            return
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            _log.error("cannot accept connections: %s", error)
            self._pause(listener, _ACCEPT_RETRY_S)
            return
        client.settimeout(0)
        if client.family in {socket.AF_INET, socket.AF_INET6}:
            # A stream is not idle: that its client has vanished shows in what is never received.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNRECEIVED_MS)
        self._accepting += 1
        self._start_task(self._connect(client))

    async def _connect(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: Connection(self._app, self), client)
        finally:
            self._accepting -= 1

    def _is_full(self) -> bool:
        if len(self._connections) + self._accepting < MAX_UNANSWERED:
            return False
        young = time.monotonic() - _YOUNG_S
        known = self._connections.items()
        unanswered = sum(1 for c, since in known if since > young and not c.answered)
        return unanswered + self._accepting >= MAX_UNANSWERED

    async def _serve(self, rest: _Rest) -> None:
        try:
            await rest
        finally:
            del self._connections[rest]
