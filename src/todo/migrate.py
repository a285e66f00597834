"""Bring the schema up to date, one process at a time.

Alembic is imported only when there is something to upgrade.
"""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, exc, inspect, text

from todo.db import connect_arguments, prepare_engine
from todo.fatal import ExitCode, FatalError
from todo.models import EXPECTED_REVISION, REVISIONS
from todo.settings import Settings

SCRIPTS = Path(__file__).parent / "migrations"
# Any constant will do, as long as nothing else in the database uses it: "todo" in ASCII.
LOCK_KEY = 0x746F646F
_POLL_S = 0.5


class DatabaseUnreachableError(Exception):
    """No connection within the time given."""


def migrate(settings: Settings) -> str:
    """Upgrade the schema under a lock; a second process waits and then finds nothing to do.

    Returns:
        The revision found at the beginning, `""` for an empty database.

    Raises:
        DatabaseUnreachableError: No connection.
        FatalError: The database is newer than this program.
    """
    arguments = connect_arguments(settings)
    arguments.pop("options", None)
    url = settings.url
    if url.drivername.startswith("sqlite"):
        url = url.set(drivername="sqlite")
    engine = create_engine(url, connect_args=arguments)
    prepare_engine(engine, settings)
    try:
        with _connect(engine) as connection, connection.begin():
            return _upgrade(connection)
    finally:
        engine.dispose()


def migrate_patiently(settings: Settings, wait_s: float, progress: Callable[[str], None]) -> str:
    """Upgrade the schema, waiting for the database.

    Args:
        settings: Where the database is.
        wait_s: Seconds to wait for it.
        progress: Receives one line when there is something to wait for.

    Raises:
        FatalError: The database did not come in time, or is newer than this program.
    """
    deadline = time.monotonic() + wait_s
    announced = False
    while True:
        try:
            return migrate(settings)
        except DatabaseUnreachableError as error:
            if time.monotonic() + _POLL_S > deadline:
                message = f"the database is not reachable after {wait_s:g} s: {error}"
                raise FatalError(ExitCode.DATABASE_UNAVAILABLE, message) from None
        if not announced:
            progress(f"waiting up to {wait_s:g} s for the database")
            announced = True
        time.sleep(_POLL_S)


def _connect(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except (exc.OperationalError, exc.InterfaceError) as error:
        raise DatabaseUnreachableError(" ".join(str(error.orig).split())) from None


def _upgrade(connection: Connection) -> str:
    if connection.dialect.name == "postgresql":
        # A migration may take its time, also where the role has limits.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        # Held by the transaction, so that it works through PgBouncer too.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
    current = _find_revision(connection)
    if current and current not in REVISIONS:
        message = (
            f"the database's schema is revision {current}, which this program (up to "
            f"{EXPECTED_REVISION}) does not know: run the newer version, or restore a backup"
        )
        raise FatalError(ExitCode.SCHEMA_MISMATCH, message)
    if current != EXPECTED_REVISION:
        from alembic import command  # noqa: PLC0415 - half a second, and mostly not needed
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, EXPECTED_REVISION)
    return current


def _find_revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found or ""
