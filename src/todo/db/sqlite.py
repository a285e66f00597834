"""SQLite connections: pragmas, and waits for the lock of another process."""

import time
from typing import Any

from sqlalchemy import Connection

BUSY_TIMEOUT_S = 5
# The value in `sqlite3`, which is not imported for PostgreSQL; extended codes add higher bits.
_SQLITE_BUSY = 5
_PRIMARY_CODE = 0xFF


def prepare_connection(connection: Any, _record: object) -> None:  # noqa: ANN401 - either driver's
    """Set up a new connection of a synchronous or asynchronous engine."""
    # The driver's implicit BEGIN comes too late for a read followed by a write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")
    _enter_wal(cursor)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _enter_wal(cursor: Any) -> None:  # noqa: ANN401 - either driver's
    """Set the file's journal mode, even if other processes do so at the same time.

    The change upgrades a read lock. If two processes do that at once, SQLite fails one of them
    without waiting for the busy timeout, because both would wait forever.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except Exception as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        else:
            return
        # A transaction that starts as a writer does wait for the lock.
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")


def begin(connection: Connection) -> None:
    """Begin a transaction that SQLAlchemy controls, as in migrations."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def is_busy(error: BaseException | None) -> bool:
    """Return whether a driver's error means that another connection holds a lock."""
    code = getattr(error, "sqlite_errorcode", 0)
    return bool(code & _PRIMARY_CODE == _SQLITE_BUSY)
