"""Checkouts of the connection pool: first come, first served, within the share of an account.

A canceled request ends at once, whatever its statement does: a separate task ends the statement
and returns the connection. Until then the connection and the share count as used.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy import Engine, PoolProxiedConnection

from todo.config.settings import Settings
from todo.db.pool_admission import AccountGate, Admission, PoolGate
from todo.db.session import checkin, checkout, is_idle

# How many tasks may wait for each connection: at a few milliseconds a turn, far from any time-out.
_WAITING_FOR_EACH = 20
# Shares of the pool that one account may use for its writes, which wait for the same row anyway,
# and for its reads. The rest is reserved for other accounts.
_SHARE_OF_WRITES = 3
_SHARE_OF_READS = 2


class Checkouts:
    """The connections that are out of one pool."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        timeout_s: float,
        unanswered: Callable[[], None],
    ) -> None:
        """Create the checkout of a pool's connections.

        Args:
            engine: Engine with the pool, which itself never waits.
            settings: Size of the pool and timeout of the checkout.
            timeout_s: Seconds after which an unresponsive server is given up.
            unanswered: Called if a server did not respond to an abandoned request.
        """
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
            PoolExhaustedError: None became free.
            ConnectionError: The server closes each as soon as it is made.
        """
        await self._gate.take()
        try:
            return await checkout(self._engine)
        except BaseException:
            self._gate.leave()
            raise

    async def checkin(self, pooled: PoolProxiedConnection, admission: Admission) -> None:
        """Return a connection; a task that is being canceled does not wait for this.

        Args:
            pooled: Result of `take`.
            admission: Slots of the connection, released when the connection is free again.
        """
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
        """Wait until those that are on their way back are there."""
        if self._returning:
            await asyncio.wait(self._returning)
