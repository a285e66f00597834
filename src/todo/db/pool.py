"""Checkouts from the connection pool: FIFO, within each account's share.

A canceled request ends immediately, whatever its statement does: a separate task ends the statement
and returns the connection. Until then the connection counts toward the share.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy import Engine, PoolProxiedConnection

from todo.config.settings import Settings
from todo.db.pool_admission import AccountGate, Admission, PoolGate
from todo.db.session import checkin, checkout, is_idle

# Maximum number of waiting tasks per connection; far from any timeout at a few ms each.
_WAITING_FOR_EACH = 20
# Fractions of the pool that one account may use: a third for writes, which wait for the same row
# anyway, and half for reads. The rest is reserved for other accounts.
_SHARE_OF_WRITES = 3
_SHARE_OF_READS = 2


class Checkouts:
    """Connections that are checked out of one pool.

    Args:
        engine: Engine whose pool itself never waits.
        settings: Size of the pool and timeout of a checkout.
        timeout_s: Seconds after which a server counts as unresponsive.
        unanswered: Called if the server did not respond to a canceled request.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        timeout_s: float,
        unanswered: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._unanswered = unanswered
        size = settings.database_pool_size
        max_waiting = _WAITING_FOR_EACH * size
        timeout_s = settings.database_pool_timeout_s
        self._gate = PoolGate(size, max_waiting=max_waiting, timeout_s=timeout_s)
        self.reads, self.writes = (
            AccountGate(max(1, size // share), max_waiting=max_waiting, timeout_s=timeout_s)
            for share in (_SHARE_OF_READS, _SHARE_OF_WRITES)
        )
        self._returning: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Number of tasks that wait for a connection."""
        return self._gate.waiting

    async def take(self) -> PoolProxiedConnection:
        """Take a connection; `checkin` returns it.

        Raises:
            PoolExhaustedError: No connection became free in time, or too many tasks wait.
            ConnectionError: The server closes new connections immediately.
        """
        await self._gate.take()
        try:
            return await checkout(self._engine)
        except BaseException:
            self._gate.leave()
            raise

    async def checkin(self, pooled: PoolProxiedConnection, admission: Admission) -> None:
        """Return a connection and release its slots; a task being canceled does not wait."""
        if is_idle(pooled):
            pooled.close()
            self._leave(admission)
            return
        task = asyncio.create_task(self._end(pooled, admission))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)
        caller = asyncio.current_task()
        if caller is None or not caller.cancelling():
            await asyncio.shield(task)

    async def _end(self, pooled: PoolProxiedConnection, admission: Admission) -> None:
        try:
            if not await checkin(pooled, self._timeout_s):
                self._unanswered()
        finally:
            self._leave(admission)

    def _leave(self, admission: Admission) -> None:
        self._gate.leave()
        admission.leave()

    async def close(self) -> None:
        """Wait until all connections are returned."""
        if self._returning:
            await asyncio.wait(self._returning)
