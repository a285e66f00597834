"""Database access: engine, connection pool, circuit breaker, and sessions on a connection."""

import contextlib
import logging
import os
import select
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, PoolProxiedConnection, event, exc, text
from sqlalchemy.pool import QueuePool

from todo.config.settings import Settings
from todo.core.circuit_breaker import AsyncBreaker, BreakerOpenError
from todo.core.errors import DatabaseBusyError, DatabaseUnavailableError, SchemaMismatchError
from todo.core.exit import ExitCode, FatalError
from todo.db import sqlite
from todo.db.errors import classify, translate
from todo.db.pool import Checkouts
from todo.db.pool_admission import AccountGate, Admission, PoolExhaustedError
from todo.db.schema_version import SchemaVersion
from todo.db.session import PostgresSession, Session, SqliteSession, create_async_engine, dispose
from todo.db.statement import SQLITE, Statement
from todo.db.tables import EXPECTED_REVISION

APPLICATION_NAME = "todo-backend"
# Added to the URL's options for every PostgreSQL session: the server uses one plan per statement
# for all parameters. Otherwise, it would plan most pages for each request, because the limit is a
# parameter and the plan depends on the account.
_SESSION_OPTIONS = " -c plan_cache_mode=force_generic_plan"
_RECYCLE_S = 1800

_log = logging.getLogger("todo.db")

_REVISION = Statement(text("SELECT version_num FROM alembic_version"))
_OLDEST_PROGRAM = Statement(text("SELECT oldest_program FROM schema_compatibility"))


class Database:
    """Engine, pool and circuit breaker of the database, for the lifetime of the process.

    With `checks_schema`, sessions are refused while the schema is incompatible with this program.
    """

    def __init__(self, settings: Settings, *, checks_schema: bool = False) -> None:
        self._checks_schema = checks_schema
        self._schema_is_right = not checks_schema
        self.is_sqlite = settings.url.drivername.startswith(SQLITE)
        self._timeout_s = settings.database_statement_timeout_s + 1
        arguments = connect_arguments(settings)
        if not self.is_sqlite:
            # With autocommit, a read is one round trip; `Session` turns it off for a transaction.
            arguments["autocommit"] = True
            from todo.db.connection import Connection, PooledConnection  # noqa: PLC0415 - only for PostgreSQL

            kind = PooledConnection if settings.database_pgbouncer else Connection
            arguments["async_creator_fn"] = kind.connect
        self.engine = create_async_engine(
            settings.url,
            connect_args=arguments,
            pool_size=settings.database_pool_size,
            # `Checkouts` enforces the size and queues waiting tasks; the pool itself never waits.
            max_overflow=-1,
            # `checkin` rolls back if necessary.
            pool_reset_on_return=None,
            pool_recycle=_RECYCLE_S,
            pool_use_lifo=True,
            # Parameters may be titles or descriptions, which must not be logged.
            hide_parameters=True,
            **({"paramstyle": "named"} if self.is_sqlite else {}),
        )
        prepare_engine(self.engine, settings)
        if not self.is_sqlite:
            event.listen(self.engine, "connect", _read_json_as_text)
            event.listen(self.engine, "checkout", _refuse_closed)
        self._trouble = ""
        self.schema_version: SchemaVersion | None = None
        """Result of the last check; None before the first one."""
        driver = self.engine.dialect.dbapi
        assert driver is not None  # noqa: S101 - narrows the type
        self._errors: tuple[type[Exception], ...] = (exc.DBAPIError, driver.Error, ConnectionError)
        self.breaker = AsyncBreaker(
            failures=settings.database_breaker_failures,
            reset_s=settings.database_breaker_reset_s,
            classify=classify,
        )
        self._checkouts = Checkouts(
            self.engine,
            settings,
            timeout_s=self._timeout_s,
            # Reported directly, because the request has already ended.
            unanswered=lambda: self.breaker.report(ConnectionError("no answer")),
        )

    @property
    def pool(self) -> QueuePool:
        """Connection pool, for its metrics."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)  # noqa: S101 - narrows the type
        return pool

    @property
    def waiters(self) -> int:
        """Number of tasks that wait for a connection."""
        return self._checkouts.waiting

    def reading(self, *accounts: str) -> AbstractAsyncContextManager[Session]:
        """Open a session in which each statement sees the data committed when it runs.

        The session counts toward each account's share of the connections.

        Raises:
            DatabaseUnavailableError: The database is unreachable, or the connection was lost.
            DatabaseBusyError: No connection became free in time, or a statement took too long.
            DatabaseReadOnlyError: The database accepts no changes.
            DatabaseFullError: The database has no space for changes.
            SchemaMismatchError: A table is missing, or the schema is incompatible.
        """
        return self._session(self._checkouts.reads, accounts, transaction=False)

    def unit_of_work(self, *accounts: str) -> AbstractAsyncContextManager[Session]:
        """Open a session as one transaction, which is rolled back unless the block commits it.

        The session counts toward each account's share; `Session.admit` adds accounts.

        Raises:
            ConflictError: The transaction conflicts with another one; nothing was changed.
            UnavailableError: As for `reading`.
        """
        return self._session(self._checkouts.writes, accounts, transaction=True)

    @contextlib.asynccontextmanager
    async def _session(
        self,
        gate: AccountGate,
        accounts: tuple[str, ...],
        *,
        transaction: bool,
        any_schema: bool = False,
    ) -> AsyncIterator[Session]:
        if not self._schema_is_right and not any_schema:
            await self._check_schema()
        kind = SqliteSession if self.is_sqlite else PostgresSession
        try:
            admission = await gate.admit(accounts)
            try:
                with self.breaker.calling():
                    pooled = await self._connect()
                    try:
                        yield kind(
                            self.engine,
                            pooled.driver_connection,
                            transaction=transaction,
                            timeout_s=self._timeout_s,
                            admission=admission,
                        )
                    finally:
                        # The slots are released together with the connection.
                        leaving, admission = admission, Admission(gate)
                        await self._checkouts.checkin(pooled, leaving)
            finally:
                admission.leave()
            self._tell_trouble("")
        except BreakerOpenError as error:
            raise DatabaseUnavailableError(retry_after_s=error.retry_after_s) from None
        except PoolExhaustedError:
            raise DatabaseBusyError from None
        except self._errors as error:
            translated = translate(error)
            if isinstance(translated, DatabaseUnavailableError):
                self._tell_trouble(translated.reason)
            raise translated from error

    async def _connect(self) -> PoolProxiedConnection:
        try:
            return await self._checkouts.take()
        except FatalError as error:
            # The password file has become unreadable, perhaps only for a while.
            unavailable = DatabaseUnavailableError(cause=error.message)
            self._tell_trouble(unavailable.reason)
            raise unavailable from None

    def _tell_trouble(self, reason: str) -> None:
        """Log why the database is unavailable, once for each reason."""
        if reason == self._trouble:
            return
        self._trouble = reason
        if reason:
            _log.warning("%s", reason)
        else:
            _log.info("the database is available again")

    async def fetch_schema_version(self) -> SchemaVersion:
        """Fetch the schema's revision and, if it is later than expected, its oldest program.

        Raises:
            UnavailableError: As for `reading`.
        """
        revision = await self._find_text(_REVISION)
        # Every revision later than this program's has the table of the oldest program.
        oldest = await self._find_text(_OLDEST_PROGRAM) if revision > EXPECTED_REVISION else ""
        version = self.schema_version = SchemaVersion(revision, oldest)
        self._schema_is_right = version.supports() or not self._checks_schema
        return version

    async def _check_schema(self) -> None:
        """Check the schema before use: a write could succeed although columns have changed."""
        version = await self.fetch_schema_version()
        if not version.supports():
            raise SchemaMismatchError(version.mismatch)

    async def _find_text(self, statement: Statement) -> str:
        session_of = self._session(self._checkouts.reads, (), transaction=False, any_schema=True)
        try:
            async with session_of as session:
                row = await session.find(statement, {})
        except SchemaMismatchError:
            return ""
        return "" if row is None else str(row[0])

    async def dispose(self) -> None:
        """Close the pooled connections."""
        await self._checkouts.close()
        await dispose(self.engine)


def connect_arguments(settings: Settings) -> dict[str, Any]:
    """Return the driver's arguments for a connection to the configured database."""
    if settings.url.drivername.startswith("sqlite"):
        return {"timeout": sqlite.BUSY_TIMEOUT_S}
    arguments: dict[str, Any] = {
        "connect_timeout": settings.database_connect_timeout_s,
        "application_name": APPLICATION_NAME,
        # A vanished peer is detected after 30 s without traffic, or 10 s without a response.
        "keepalives_idle": 30,
        "tcp_user_timeout": 10_000,
    }
    if settings.database_pgbouncer:
        arguments["prepare_threshold"] = None
    else:
        timeout_ms = int(settings.database_statement_timeout_s * 1000)
        limits = (
            f"-c statement_timeout={timeout_ms} -c idle_in_transaction_session_timeout={timeout_ms}"
        )
        given = settings.url.normalized_query.get("options", (limits,))
        arguments["options"] = " ".join(given) + _SESSION_OPTIONS
    return arguments


def prepare_engine(engine: Engine, settings: Settings) -> None:
    """Register the hooks that every connection of the engine needs."""
    if engine.dialect.name == "sqlite":
        folder = Path(settings.url.database or "").parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"TODO_DATABASE_URL: cannot create {folder}: {error.strerror}"
            raise FatalError(ExitCode.CONFIGURATION, message) from None
        event.listen(engine, "connect", sqlite.prepare_connection)
        event.listen(engine, "begin", sqlite.begin)
        return
    # The server renders texts and times for callers. libpq sends these variables when it connects.
    # PgBouncer supports them, and they override the defaults of a role.
    os.environ |= {"PGTZ": "UTC", "PGDATESTYLE": "ISO", "PGCLIENTENCODING": "UTF8"}
    if settings.database_password_file is not None:
        path = settings.database_password_file
        read_password(path)

        # Read for every connection, so that a rotated password needs no restart.
        @event.listens_for(engine, "do_connect")
        def _add_password(_dialect: Any, _record: Any, _args: Any, params: dict[str, Any]) -> None:  # noqa: ANN401
            params["password"] = read_password(path)


def read_password(path: Path) -> str:
    """Read the database password from its file.

    Raises:
        FatalError: The file is missing, unreadable or empty.
    """
    try:
        password = path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        message = f"TODO_DATABASE_PASSWORD_FILE cannot be read: {error}"
        raise FatalError(ExitCode.SECRET, message) from None
    if not password:
        raise FatalError(ExitCode.SECRET, f"TODO_DATABASE_PASSWORD_FILE is empty: {path}")
    return password


def _read_json_as_text(connection: Any, _record: object) -> None:  # noqa: ANN401
    """Return JSON as the server's bytes, because it is only passed on to callers."""
    from psycopg.adapt import Loader  # noqa: PLC0415 - only for PostgreSQL

    class _Bytes(Loader):
        def load(self, data: Any) -> bytes:  # noqa: ANN401 - any buffer
            return bytes(data)

    connection.driver_connection.adapters.register_loader("json", _Bytes)


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401
    """Replace a pooled connection that its server has closed.

    An idle connection is readable only if the server has closed it, so one poll() replaces the
    round trip of a ping.
    """
    poller = select.poll()
    poller.register(connection.driver_connection.fileno(), select.POLLIN)
    if poller.poll(0):
        raise exc.InvalidatePoolError
