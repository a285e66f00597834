"""psycopg connection that a canceled task leaves immediately.

psycopg would first cancel the statement on the server and wait for its end, for seconds if the
server hangs. Here a separate task does that, and the connection's next statement waits for it.
"""

import asyncio
from typing import Any

from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.waiting import Ready, Wait, wait_async

Operation = Any
"""psycopg generator that yields the events to wait for, and receives those that occurred."""


class Connection(AsyncConnection[Any]):
    """Connection whose statements can be canceled without waiting for the server."""

    abandoned: asyncio.Task[Any] | None = None
    """Task that ends the statement of a canceled task."""

    async def wait(
        self,
        gen: Operation,
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - as in psycopg
    ) -> Any:  # noqa: ANN401 - likewise
        """Run one of psycopg's operations.

        Raises:
            CancelledError: This task was canceled; `abandoned` ends the operation.
        """
        if self.abandoned is not None:
            await asyncio.wait({self.abandoned})
            self.abandoned = None
        try:
            return await wait_async(gen, self.pgconn.socket, interval, timeout)
        except asyncio.CancelledError as error:
            # psycopg then cancels the statement on the server, and waits for its end.
            rest: Operation = _InterruptedOperation(gen, error)
            self.abandoned = asyncio.create_task(super().wait(rest))
            # The result is never awaited: avoids asyncio's "exception was never retrieved" warning.
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
    """Connection to PgBouncer, which never receives a cancel request.

    PgBouncer 1.18 may exit on such a request, which would end all connections. It does tolerate a
    connection that is closed in the middle of a statement.
    """

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:  # noqa: ARG002, ASYNC109 - as in psycopg
        """Close the connection; psycopg calls this when a waiting task is canceled.

        Raises:
            CancelledError: Always, because psycopg has no statement left to wait for.
        """
        self.pgconn.finish()
        raise asyncio.CancelledError


class _InterruptedOperation:
    """Adapter with which psycopg continues an operation that was interrupted during a wait."""

    def __init__(self, operation: Operation, interrupted: BaseException) -> None:
        self._operation = operation
        self._interrupted: BaseException | None = interrupted

    def __next__(self) -> Wait:
        if self._interrupted is not None:
            error, self._interrupted = self._interrupted, None
            raise error
        # Wait for either event; the operation then yields the one that it needs.
        return Wait.RW

    def send(self, ready: Ready) -> Wait:
        state: Wait = self._operation.send(ready)
        return state
