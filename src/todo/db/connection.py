"""psycopg's connection, with a wait that costs half as much.

For each statement, psycopg registers with the event loop again, starts a timer and wakes the
waiting task to read the received bytes. Here the registration stays for the next statement, the
bytes are read in the loop's callback, and the task wakes when its result is complete. Every other
wait is psycopg's own.

A task that is cancelled while it waits ends at once. psycopg would first cancel the statement on
the server and wait for its end, for seconds if the server hangs. Here a separate task does that,
and the connection's next statement waits for it.
"""

import asyncio
from typing import Any

from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.pq import ConnStatus
from psycopg.waiting import Ready, Wait

Operation = Any
"""A generator of psycopg: yields what it waits for, is sent what there is, returns its result."""


class Connection(AsyncConnection[Any]):
    """A connection whose statements wait cheaply."""

    _watched = -1
    """The descriptor for which the event loop calls `_read`; -1 for none."""
    _running: Operation = None
    _answer: asyncio.Future[Any] | None = None
    abandoned: asyncio.Task[Any] | None = None
    """Ends the statement that a cancelled task has left behind."""

    async def wait(
        self,
        gen: Operation,
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - as in psycopg
    ) -> Any:  # noqa: ANN401 - likewise
        """Run one of psycopg's operations to its end."""
        if self.abandoned is not None:
            await asyncio.wait({self.abandoned})
            self.abandoned = None
        try:
            state = next(gen)
        except StopIteration as end:
            return end.value
        found: Any = _StartedOperation(gen, state)
        if state == Wait.R and timeout is None:
            found = await self._await_answer(gen)
        if isinstance(found, _StartedOperation):
            self._unwatch()
            rest: Operation = found
            waiting = asyncio.create_task(super().wait(rest, interval, timeout))
            try:
                return await asyncio.shield(waiting)
            except asyncio.CancelledError:
                waiting.cancel()
                self._abandon(waiting)
                raise
        return found

    def raw_cursor(self) -> AsyncRawCursor[Any]:
        """Return a cursor for statements with $1, $2 and so on."""
        return AsyncRawCursor(self)

    async def close(self) -> None:
        """Close the connection."""
        # Before the descriptor is another connection's.
        self._unwatch()
        if self.abandoned is not None:
            self.abandoned.cancel()
        await super().close()

    async def _await_answer(self, operation: Operation) -> Any:  # noqa: ANN401 - any result
        """Return the result of the operation, or the operation itself if it needs another wait.

        Raises:
            CancelledError: This task was cancelled; `abandoned` ends the operation.
        """
        loop = asyncio.get_running_loop()
        if self._watched < 0:
            self._watched = self.fileno()
            loop.add_reader(self._watched, self._read)
        self._running = operation
        self._answer = answer = loop.create_future()
        try:
            return await answer
        except asyncio.CancelledError as error:
            if answer.done() and not answer.cancelled():
                answer.exception()  # avoids asyncio's "exception was never retrieved" warning
            self._unwatch()
            rest: Operation = _StartedOperation(operation, Wait.R, error)
            # psycopg asks the server to cancel, and waits for that.
            self._abandon(asyncio.create_task(super().wait(rest)))
            raise
        finally:
            self._running = self._answer = None

    def _read(self) -> None:
        """Continue the operation: bytes have arrived."""
        operation, answer = self._running, self._answer
        if operation is None or answer is None:
            # Without a request, the server only closes: the next checkout notices that.
            self._unwatch()
            return
        if answer.done():
            return
        try:
            state = operation.send(Ready.R)
        except StopIteration as end:
            answer.set_result(end.value)
        except BaseException as error:  # noqa: BLE001 - handed on to the task that waits
            answer.set_exception(error)
        else:
            if state != Wait.R:
                answer.set_result(_StartedOperation(operation, state))
            return
        self._running = None
        if self.pgconn.status != ConnStatus.OK:
            # libpq has closed the descriptor.
            self._unwatch()

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self.abandoned = task
        # Whatever comes of it, nobody waits for its result.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    def _unwatch(self) -> None:
        if self._watched >= 0:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = -1


class PooledConnection(Connection):
    """A connection to PgBouncer, which is never asked to cancel a statement.

    Version 1.18 may end itself over such a request, and with it everybody's connections. It bears
    a connection that is closed in the middle of a statement.
    """

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:  # noqa: ARG002, ASYNC109 - as in psycopg
        """Give up the connection; psycopg asks for this when a task that waits is cancelled.

        Raises:
            CancelledError: Always; there is nothing left whose end psycopg could wait for.
        """
        self._unwatch()
        self.pgconn.finish()
        raise asyncio.CancelledError


class _StartedOperation:
    """An operation that has started already, for a wait that would start it."""

    def __init__(
        self, operation: Operation, state: Wait, interrupted: BaseException | None = None
    ) -> None:
        self._operation = operation
        self._state = state
        self._interrupted = interrupted

    def __next__(self) -> Wait:
        if self._interrupted is not None:
            error, self._interrupted = self._interrupted, None
            raise error
        return self._state

    def send(self, ready: Ready) -> Wait:
        state: Wait = self._operation.send(ready)
        return state
