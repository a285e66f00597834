"""Listener: accepts connections, and drains them when the server stops.

Hypercorn's `serve()` closes its listening sockets and all connections without a request at the same
moment. That cuts off clients whose connection was just accepted and whose request is still on the
way. Here accepting stops first, and a connection is closed only after its first response (ADR 12).
"""

import asyncio
import logging
import math
import socket
import sys
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp

from todo.server.http1 import Connection
from todo.server.http1_parser import Request
from todo.server.read_pacing import ReadPacer
from todo.server.send_budget import SendBudget
from todo.server.sockets import accept, listen

if TYPE_CHECKING:
    from todo.server.hypercorn import HypercornCycle

# Time for which the drain waits for the first request of an accepted connection.
FIRST_REQUEST_GRACE_S = 1.0
# Maximum number of young connections that wait for their first response; others stay in the
# kernel's queue. It keeps the database pool busy, but a burst of thousands neither delays the
# health probe nor is lost with this process. Connections do not count without a complete request
# (silent clients must not block others), once their response has started (streams), or while their
# request waits for others of its account.
MAX_UNANSWERED = 32
_YOUNG_S = 1.0
# Event loop iterations until a request that arrived with its connection has been read.
_READ_TURNS = 2
_POLL_S = 0.01
# Delay after a failed accept; closing connections may free a file descriptor meanwhile.
_ACCEPT_RETRY_S = 0.5
_UNRECEIVED_MS = 60_000
# Time without progress after which a stopping server abandons a request or response.
_STALLED_S = 2.0
# An accepted socket needs two iterations of the event loop to become a connection.
_QUIET_POLLS = 5

_log = logging.getLogger("todo.listener")


class Listener:
    """Listener for one application: accepts, limits and drains its connections.

    Args:
        sockets: Bound sockets; `start` makes them listen.
        keep_alive_s: Idle time in seconds after which a connection is closed.
        max_connections: Maximum number of open connections. At the limit, the longest idle one is
            closed; if none is idle, new clients wait in the kernel's queue.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: list[socket.socket],
        *,
        keep_alive_s: float,
        max_connections: int = sys.maxsize,
    ) -> None:
        self.keep_alive_s = keep_alive_s
        self.send_budget = SendBudget()
        self._app = app
        self._sockets = sockets
        self._max_connections = max_connections
        self._pacer = ReadPacer()
        self._connections: dict[Connection, float] = {}
        self._accepting = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._is_holding = False

    async def start(self) -> None:
        """Listen on the sockets, and accept unless `hold` was called."""
        for listener in self._sockets:
            listen(listener)
            self._start_accepting(listener)

    def hold(self) -> None:
        """Leave new connections in the kernel's queue, for other instances or until `resume`."""
        self._is_holding = True
        self._remove_readers()

    def resume(self) -> None:
        """Resume accepting."""
        self._is_holding = False
        for listener in self._sockets:
            self._start_accepting(listener)

    def stop_accepting(self) -> None:
        """Stop accepting for good; new connections wait in the kernel's queue for a successor."""
        self._stopped = True
        self._remove_readers()

    async def drain(self, deadline: float, *, idle_s: float = 0.0) -> None:
        """Wait until every accepted connection has received its response, then close them all.

        Args:
            deadline: Time of `time.monotonic()` at which open requests are abandoned.
            idle_s: Seconds for which recently used connections stay open, so that their clients
                learn of the end from a response instead of a failed request.
        """
        began = time.monotonic()
        unreceived: dict[Connection, tuple[int, float]] = {}
        grace_ends = min(deadline, began + FIRST_REQUEST_GRACE_S)
        quiet = 0
        while quiet < _QUIET_POLLS and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            self._end_stalled(began, unreceived)
            in_grace = time.monotonic() < grace_ends
            used_since = began - idle_s if time.monotonic() < began + idle_s else math.inf
            owing = any(
                c.busy
                or c.is_flushing
                or (in_grace and not c.has_responded)
                or c.idle_since[1] > used_since
                for c in self._connections
            )
            quiet = 0 if owing else quiet + 1
        self.stop_accepting()
        for listener in self._sockets:
            listener.close()
        for connection in list(self._connections):
            connection.close_when_idle()
        tasks = self._find_tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.1, deadline - time.monotonic()))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.2)

    def _end_stalled(self, began: float, unreceived: dict[Connection, tuple[int, float]]) -> None:
        """Abandon requests and responses that make no progress.

        `unreceived` contains the number of bytes that each client has not received, and the time of
        its last change. Times are those of `time.monotonic()`.
        """
        now = time.monotonic()
        for connection in list(self._connections):
            if now - began >= _STALLED_S:
                connection.end_stalled_request(now - _STALLED_S)
            size = connection.count_unreceived()
            before, since = unreceived.get(connection, (0, now))
            if size != before:
                unreceived[connection] = size, now
            elif size and now - since >= _STALLED_S:
                connection.transport.abort()

    def connection_opened(self, connection: Connection) -> None:
        """Register an open connection."""
        self._connections[connection] = time.monotonic()

    def connection_closed(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self._connections.pop(connection, None)

    def open_hypercorn_cycle(
        self, connection: Connection, request: Request, body: bytes
    ) -> "HypercornCycle":
        """Create a cycle in which Hypercorn serves one request."""
        from todo.server.hypercorn import HypercornCycle  # noqa: PLC0415 - few clients need it

        return HypercornCycle(self._app, self._pacer, connection, request, body)

    def _find_tasks(self) -> set[asyncio.Task[Any]]:
        running = (connection.task for connection in self._connections)
        return self._tasks | {task for task in running if task is not None}

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start_accepting(self, listener: socket.socket) -> None:
        if not (self._stopped or self._is_holding):
            asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _remove_readers(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            loop.remove_reader(listener.fileno())

    def _pause_accepting(self, listener: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(seconds, self._start_accepting, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept one connection per loop iteration, so that a burst does not delay others."""
        if self._is_full() or not self._make_room():
            self._pause_accepting(listener, _POLL_S)
            return
        try:
            client = accept(listener)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            _log.error("cannot accept connections: %s", error)
            self._pause_accepting(listener, _ACCEPT_RETRY_S)
            return
        if client.family in {socket.AF_INET, socket.AF_INET6}:
            # A stream is never idle: only unacknowledged data shows that its client has vanished.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNRECEIVED_MS)
        self._accepting += 1
        self._start_task(self._connect(client))

    async def _connect(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: Connection(self._app, self), client)
            for _ in range(_READ_TURNS):
                await asyncio.sleep(0)
        finally:
            self._accepting -= 1

    def _is_full(self) -> bool:
        if len(self._connections) + self._accepting < MAX_UNANSWERED:
            return False
        young = time.monotonic() - _YOUNG_S
        known = self._connections.items()
        unanswered = sum(1 for c, since in known if since > young and c.owes_first_response)
        return unanswered + self._accepting >= MAX_UNANSWERED

    def _make_room(self) -> bool:
        """Return whether another connection may open; if not, close the longest idle one."""
        if len(self._connections) + self._accepting < self._max_connections:
            return True
        open_ = (each for each in self._connections if not each.transport.is_closing())
        idle = (each for each in open_ if not each.busy)
        longest = min(idle, key=lambda each: each.idle_since, default=None)
        if longest is not None:
            longest.close_when_idle()
        return False
