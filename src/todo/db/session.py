"""Sessions: statements on one pooled connection, each by itself or in one transaction.

SQLAlchemy's pool connects and closes through `greenlet_spawn`, which runs synchronous code and
awaits the driver in the event loop. `sqlalchemy.ext.asyncio` does the same, but imports the ORM.
Statements go directly to the driver.
"""

import asyncio
import contextlib
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import URL, Engine, PoolProxiedConnection, create_engine, exc
from sqlalchemy.util import greenlet_spawn

from todo.db.pool_admission import Admission
from todo.db.statement import BoundStatement, Row, Statement

# SQLAlchemy distinguishes the two forms of psycopg by the dialect.
_ASYNC_DRIVERS = {"postgresql+psycopg": "postgresql+psycopg_async"}

Prepared = tuple[str | bytes, Any]
"""A statement and its values in the driver's format."""


class Session(ABC):
    """Session on one connection, with separate statements or with one transaction.

    A transaction begins with its first statement, and has no effect without `commit`.

    Args:
        transaction: Whether statements share one transaction instead of being committed separately.
        timeout_s: Seconds after which an unresponsive server is disconnected.
        admission: Slots of accounts that the connection uses; None without accounting.
    """

    # Begins a transaction whose reads share one snapshot.
    _VIEW = "BEGIN"

    def __init__(
        self,
        engine: Engine,
        driver: Any,  # noqa: ANN401 - each driver has its own type
        *,
        transaction: bool = False,
        timeout_s: float = 0,
        admission: Admission | None = None,
    ) -> None:
        self.driver = driver
        self._timeout_s = timeout_s
        self._dialect = engine.dialect
        self._transaction = transaction
        self._open = False
        self._admission = admission

    async def admit(self, account: str) -> None:
        """Count this connection toward another account, a row of which is about to be locked.

        Raises:
            AccountBusyError: The account has used up its share of connections.
        """
        if self._admission is not None:
            await self._admission.add(account)

    @property
    def dialect(self) -> str:
        """Name of the database dialect."""
        return self._dialect.name

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """Run a statement and return its rows."""
        return (await self.run((statement, values)))[0]

    async def find(self, statement: Statement, values: Mapping[str, Any]) -> Row | None:
        """Run a statement and return its first row, or None."""
        rows = await self.fetch(statement, values)
        return rows[0] if rows else None

    async def run(self, *calls: BoundStatement) -> list[list[Row]]:
        """Run statements in order; return the rows of each."""
        if not self._open:
            await self._begin()
            self._open = True
        return await self._send([self._prepare(call) for call in calls])

    async def run_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement for each mapping of values, within the open transaction."""
        compiled = statement.compile_for(self._dialect)
        await self._send_many(compiled.text, [compiled.bind(values) for values in rows])

    async def commit(self, *calls: BoundStatement) -> list[list[Row]]:
        """Run the last statements and commit; return the rows of each."""
        rows = await self.run(*calls) if calls else []
        if self._open:
            await self._commit()
            self._open = False
        return rows

    @contextlib.asynccontextmanager
    async def one_view(self) -> AsyncIterator[None]:
        """Run the reads of the block on one snapshot, in a session without a transaction."""
        await self._begin()
        self._open = True
        await self._send([(self._VIEW, None)])
        yield
        await self._send([("COMMIT", None)])

    def _prepare(self, call: BoundStatement) -> Prepared:
        statement, values = call
        compiled = statement.compile_for(self._dialect)
        return compiled.text, compiled.bind(values)

    @abstractmethod
    async def _begin(self) -> None:
        """Begin a transaction with the next statement, or make each statement commit itself."""

    @abstractmethod
    async def _commit(self) -> None:
        """Commit the transaction."""

    @abstractmethod
    async def _send(self, calls: Sequence[Prepared]) -> list[list[Row]]:
        """Run statements in order; return the rows of each."""

    async def _send_many(self, text: str | bytes, rows: list[Any]) -> None:
        """Run one statement for each mapping of values, each with its own timeout."""
        await self._send([(text, values) for values in rows])


class PostgresSession(Session):
    """Session on psycopg.

    Pipeline mode would save cheap round trips on a Unix socket, but double the processor time.

    The server's statement timeout has no effect if the server hangs. Canceling the task would make
    psycopg request the cancellation from the same server, for seconds. Shutting down the socket
    ends the wait immediately.
    """

    _VIEW = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    _cursor: Any = None

    async def _begin(self) -> None:
        # Sends nothing: psycopg sends BEGIN with the first statement, without waking this task.
        if self.driver.autocommit == self._transaction:
            await self.driver.set_autocommit(not self._transaction)

    async def _commit(self) -> None:
        watchdog = self._watch()
        try:
            await self.driver.commit()
        finally:
            watchdog.cancel()

    async def _send(self, calls: Sequence[Prepared]) -> list[list[Row]]:
        # Reused, because creating a cursor costs a third of a statement.
        cursor = self._cursor = self._cursor or self.driver.raw_cursor()
        rows = []
        for text, values in calls:
            watchdog = self._watch()
            try:
                await cursor.execute(text, values)
            finally:
                watchdog.cancel()
            rows.append(await cursor.fetchall() if cursor.pgresult.nfields else [])
        return rows

    def _watch(self) -> asyncio.TimerHandle:
        """Shut down the connection unless the current statement completes in time."""
        return asyncio.get_running_loop().call_later(self._timeout_s, _shut_down, self.driver)


class SqliteSession(Session):
    """Session on aiosqlite, whose thread runs one statement after the other."""

    async def _begin(self) -> None:
        if self._transaction:
            # A writer locks immediately, because a read lock cannot be upgraded later.
            await self._send([("BEGIN IMMEDIATE", None)])

    async def _commit(self) -> None:
        await self._send([("COMMIT", None)])

    async def _send(self, calls: Sequence[Prepared]) -> list[list[Row]]:
        fetch = self.driver.execute_fetchall
        try:
            return [list(await fetch(text, values or {})) for text, values in calls]
        except asyncio.CancelledError:
            # The thread still runs the canceled statement; this query ends after it.
            self.driver.abandoned = asyncio.ensure_future(fetch("SELECT 1", {}))
            raise

    async def _send_many(self, text: str | bytes, rows: list[Any]) -> None:
        cursor = await self.driver.executemany(text, rows)
        await cursor.close()


def _shut_down(driver: Any) -> None:  # noqa: ANN401 - psycopg is imported only for PostgreSQL
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(driver.fileno())) as peer:
        peer.shutdown(socket.SHUT_RDWR)


def create_async_engine(url: URL, **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's own
    """Create an engine for `checkout`; the options are those of `create_engine`."""
    return create_engine(
        url.set(drivername=_ASYNC_DRIVERS.get(url.drivername, url.drivername)), **options
    )


async def checkout(engine: Engine) -> PoolProxiedConnection:
    """Take a connection from the engine's pool; `driver_connection` is that of the driver.

    Raises:
        ConnectionError: The server closes new connections immediately.
    """
    try:
        pooled: PoolProxiedConnection = await greenlet_spawn(engine.raw_connection)
    except exc.InvalidRequestError as error:
        # The pool has already replaced the connection twice.
        raise ConnectionError(str(error)) from error
    return pooled


def is_idle(pooled: PoolProxiedConnection) -> bool:
    """Return whether a connection has no open work, so that `close` returns it unchanged."""
    driver: Any = pooled.driver_connection
    return getattr(driver, "abandoned", None) is None and not _is_in_transaction(driver)


async def checkin(pooled: PoolProxiedConnection, timeout_s: float) -> bool:
    """End open work and return the connection; close it if that fails.

    A task that may be canceled must not call this, because the connection could be lost. If the
    server does not respond within `timeout_s` seconds, the connection is closed.

    Returns:
        Whether the server responded.
    """
    driver: Any = pooled.driver_connection
    answered = True
    try:
        if abandoned := getattr(driver, "abandoned", None):
            _, pending = await asyncio.wait({abandoned}, timeout=timeout_s)
            answered = not pending
            if answered:
                driver.abandoned = None
        if answered and _is_in_transaction(driver):
            await asyncio.wait_for(driver.rollback(), timeout_s)
    except TimeoutError:
        answered = False
    except Exception:  # noqa: BLE001 - after any error the connection must not be reused
        await greenlet_spawn(pooled.invalidate)
        return True
    if answered:
        # Does not wait, because the pool is configured not to reset connections.
        pooled.close()
    else:
        await greenlet_spawn(pooled.invalidate)
    return answered


def _is_in_transaction(driver: Any) -> bool:  # noqa: ANN401 - psycopg's or aiosqlite's
    if hasattr(driver, "in_transaction"):
        return bool(driver.in_transaction)
    # Idle is 0 in libpq; the state of a closed connection is unknown.
    return bool(driver.pgconn.transaction_status)


async def dispose(engine: Engine) -> None:
    """Close the pooled connections."""
    await greenlet_spawn(engine.dispose)
