"""Schema migration by one process at a time; Alembic is imported only for an upgrade."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import orjson
from sqlalchemy import (
    Connection,
    Engine,
    RootTransaction,
    create_engine,
    exc,
    inspect,
    select,
    text,
    update,
)

from todo.config.settings import Settings
from todo.core.exit import ExitCode, FatalError
from todo.db.database import connect_arguments, prepare_engine
from todo.db.privileges import grant, has_backend_role, take_ownership
from todo.db.schema_version import SchemaVersion
from todo.db.sqlite import is_busy
from todo.db.tables import CONTRACTS, EXPECTED_REVISION, REVISIONS, schema_compatibility

SCRIPTS = Path(__file__).parent / "migrations"
# "todo" in ASCII; nothing else in the database uses this key.
LOCK_KEY = 0x746F646F
_LOCK = {"key": LOCK_KEY}
# Migrations may take long, so the role's limits are lifted. Not every server has all settings.
_NO_LIMITS = text(
    "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ('statement_timeout',"
    " 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)
# A statement that waits for a table lock blocks all later ones. So it gives up soon, and the
# migration starts again: concurrent reads and writes wait at most this long.
_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', '2s', true)")
_LOCK_NOT_AVAILABLE = "55P03"
_NOT_ALLOWED = "42501"
_POLL_S = 0.5
_WAITING = "waiting for another process that is changing the database"
_WAITING_FOR_TABLES = "waiting for transactions that hold locks on the tables"
_T = TypeVar("_T")


class DatabaseUnreachableError(Exception):
    """Connecting to the database failed, or the connection was lost."""


def migrate(settings: Settings, progress: Callable[[str], None], *, contracts: bool = False) -> str:
    """Upgrade the schema under a lock; a second process waits and then finds nothing to do.

    A later revision is left unchanged if it works with this program.

    Args:
        settings: Settings of the database.
        progress: Receives a line while the migration waits, and if the backend's role migrates.
        contracts: Whether to run all contracts, which break earlier programs.

    Returns:
        The previous revision, `""` for an empty database.

    Raises:
        DatabaseUnreachableError: The connection failed or was lost; repeating the call is safe.
        FatalError: A newer program, the contract step or a privilege is needed, or the backend's
            role is missing or owns the database.
    """
    arguments = connect_arguments(settings)
    arguments.pop("options", None)
    url = settings.url
    if url.drivername.startswith("sqlite"):
        url = url.set(drivername="sqlite")
    # Write JSON without escapes, as the rest of this program does.
    engine = create_engine(url, connect_args=arguments, json_serializer=_render_json)
    prepare_engine(engine, settings)
    try:
        with _connect(engine, progress) as connection:
            return _upgrade_patiently(
                connection, settings.database_backend_role, progress, contracts=contracts
            )
    except exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _NOT_ALLOWED:
            raise _refused(error) from None
        if not error.connection_invalidated:
            raise
        raise _unreachable(error) from None
    finally:
        engine.dispose()


def migrate_patiently(
    settings: Settings,
    wait_s: float,
    progress: Callable[[str], None],
    *,
    contracts: bool = False,
) -> str:
    """Upgrade the schema as `migrate` does, waiting up to `wait_s` seconds for the database.

    Raises:
        FatalError: The database was not reachable in time, or `migrate` failed.
    """
    deadline = time.monotonic() + wait_s
    announced = False
    while True:
        try:
            return migrate(settings, progress, contracts=contracts)
        except DatabaseUnreachableError as error:
            if time.monotonic() + _POLL_S > deadline:
                message = f"the database cannot be reached after {wait_s:g} s: {error}"
                raise FatalError(ExitCode.DATABASE_UNAVAILABLE, message) from None
        if not announced:
            progress(f"waiting up to {wait_s:g} s for the database")
            announced = True
        time.sleep(_POLL_S)


def _render_json(value: object) -> str:
    return orjson.dumps(value).decode()


def _connect(engine: Engine, progress: Callable[[str], None]) -> Connection:
    try:
        return _outwait_locks(engine.connect, progress)
    except (exc.OperationalError, exc.InterfaceError) as error:
        raise _unreachable(error) from None


def _unreachable(error: exc.DBAPIError) -> DatabaseUnreachableError:
    return DatabaseUnreachableError(" ".join(str(error.orig).split()))


def _upgrade_patiently(
    connection: Connection,
    backend_role: str,
    progress: Callable[[str], None],
    *,
    contracts: bool,
) -> str:
    """Upgrade in one transaction; restart it while others use the tables that it changes."""
    announced = False
    while True:
        try:
            with _begin(connection, progress):
                return _upgrade(connection, backend_role, progress, contracts=contracts)
        except exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
        if not announced:
            progress(_WAITING_FOR_TABLES)
            announced = True
        time.sleep(_POLL_S)


def _begin(connection: Connection, progress: Callable[[str], None]) -> RootTransaction:
    """Begin a transaction that holds the migration lock, waiting for other migrations."""
    if connection.dialect.name != "postgresql":
        return _outwait_locks(connection.begin, progress)
    transaction = connection.begin()
    connection.execute(_NO_LIMITS)
    # Bound to the transaction, so that it also works through PgBouncer.
    if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), _LOCK):
        progress(_WAITING)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), _LOCK)
    connection.execute(_LOCK_TIMEOUT)
    return transaction


def _outwait_locks(attempt: Callable[[], _T], progress: Callable[[str], None]) -> _T:
    """Repeat an attempt while SQLite's file is locked: a migration may outlast the busy timeout."""
    announced = False
    while True:
        try:
            return attempt()
        except exc.OperationalError as error:
            if not is_busy(error.orig):
                raise
        if not announced:
            progress(_WAITING)
            announced = True


def _refused(error: exc.DBAPIError) -> FatalError:
    cause = str(error.orig).splitlines()[0]
    message = (
        f"this role lacks the privileges to migrate: {cause}: migrate as the role that owns the "
        "schema; in the shipped stack, run `systemctl --user restart todo-migrate`"
    )
    return FatalError(ExitCode.DATABASE_UNAVAILABLE, message)


def _upgrade(
    connection: Connection,
    backend_role: str,
    progress: Callable[[str], None],
    *,
    contracts: bool,
) -> str:
    current = _find_revision(connection)
    target = (EXPECTED_REVISION, *CONTRACTS)[-1] if contracts else EXPECTED_REVISION
    if current and current not in REVISIONS and not (contracts and current in CONTRACTS):
        if SchemaVersion(current, _find_oldest_program(connection)).supports():
            # The newer program has also granted the privileges that this one needs.
            return current
        message = (
            f"the database schema is revision {current}, which this program ({EXPECTED_REVISION}) "
            "does not support: run a newer version, or restore a backup"
        )
        raise FatalError(ExitCode.SCHEMA_MISMATCH, message)
    named = bool(backend_role) and connection.dialect.name == "postgresql"
    two_roles = named and has_backend_role(connection, backend_role, progress)
    if two_roles:
        take_ownership(connection, backend_role)
    if current != target:
        from alembic import command  # noqa: PLC0415 - slow, and rarely needed
        from alembic.config import Config  # noqa: PLC0415
        from alembic.script import ScriptDirectory  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        # Every revision from 0013 on has `oldest_program`.
        oldest = ScriptDirectory.from_config(config).get_revision(target).module.oldest_program
        if not contracts:
            _refuse_contract(_find_oldest_program(connection), oldest)
        command.upgrade(config, target)
        connection.execute(update(schema_compatibility).values(oldest_program=oldest))
    if two_roles:
        grant(connection, backend_role)
    return current


def _refuse_contract(stored: str, oldest: str) -> None:
    """Raise FatalError if the upgrade would break programs that the schema still supports.

    The parameters are the oldest supported programs before and after the upgrade. `stored` is `""`
    for an empty database, and before revision 0013.
    """
    if stored and oldest > stored:
        message = (
            f"the migration to schema {EXPECTED_REVISION} removes what programs before {oldest} "
            f"need, and the database still supports programs from {stored} on: when these are no "
            "longer needed, migrate with --contract; in the shipped stack, run `python3 build.py "
            "contract`"
        )
        raise FatalError(ExitCode.SCHEMA_MISMATCH, message)


def _find_revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found or ""


def _find_oldest_program(connection: Connection) -> str:
    if not inspect(connection).has_table(schema_compatibility.name):
        return ""
    return connection.scalar(select(schema_compatibility.c.oldest_program)) or ""
