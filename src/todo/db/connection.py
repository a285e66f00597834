"""psycopg's connection, whose statements a cancelled task leaves at once.

psycopg would first cancel the statement on the server and wait for its end, for seconds if the
server hangs. Here a separate task does that, and the connection's next statement waits for it.
"""

import asyncio
from typing import Any

from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.waiting import Ready, Wait, wait_async

Operation = Any
"""A generator of psycopg: yields what it waits for, is sent what there is, returns its result."""


class Connection(AsyncConnection[Any]):
    """A connection whose tasks may be cancelled."""

    abandoned: asyncio.Task[Any] | None = None
    """Ends the statement that a cancelled task has left behind."""

    async def wait(
        self,
        gen: Operation,
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - as in psycopg
    ) -> Any:  # noqa: ANN401 - likewise
        """Run one of psycopg's operations to its end.

        Raises:
            CancelledError: This task was cancelled; `abandoned` ends the operation.
        """
        if self.abandoned is not None:
            await asyncio.wait({self.abandoned})
            self.abandoned = None
        try:
            return await wait_async(gen, self.pgconn.socket, interval, timeout)
        except asyncio.CancelledError as error:
            # psycopg asks the server to cancel, and waits for that.
            rest: Operation = _InterruptedOperation(gen, error)
            self.abandoned = asyncio.create_task(super().wait(rest))
            # Nothing awaits its result: this avoids asyncio's "exception was never retrieved".
            self.abandoned.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise

    def raw_cursor(self) -> AsyncRawCursor[Any]:
        """Return a cursor for statements with $1, $2 and so on."""
        return AsyncRawCursor(self)

    async def close(self) -> None:
        """Close the connection."""
        if self.abandoned is not None:
            self.abandoned.cancel()
        await super().close()


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
        self.pgconn.finish()
        raise asyncio.CancelledError


class _InterruptedOperation:
    """An operation in the middle of a wait, for a wait that would start it."""

    def __init__(self, operation: Operation, interrupted: BaseException) -> None:
        self._operation = operation
        self._interrupted: BaseException | None = interrupted

    def __next__(self) -> Wait:
        if self._interrupted is not None:
            error, self._interrupted = self._interrupted, None
            raise error
        # Ready for either, it says what it waits for.
        return Wait.RW

    def send(self, ready: Ready) -> Wait:
        state: Wait = self._operation.send(ready)
        return state
