"""SQLite connections: their pragmas, and the wait for the lock of another process."""

import time
from typing import Any

from sqlalchemy import Connection

BUSY_TIMEOUT_S = 5
# As in `sqlite3`, which is not imported for PostgreSQL: extended codes have more in higher bits.
_SQLITE_BUSY = 5
_PRIMARY_CODE = 0xFF


def prepare_connection(connection: Any, _record: object) -> None:  # noqa: ANN401 - either driver's
    """Set up a new connection, of a synchronous or asynchronous engine."""
    # The driver's own implicit BEGIN comes too late for a read followed by a write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")
    _enter_wal(cursor)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _enter_wal(cursor: Any) -> None:  # noqa: ANN401 - either driver's
    """Set the journal mode of the file; other processes may do the same at this moment.

    The change upgrades a read lock. Where two processes do that at once, SQLite fails one of them
    without waiting for the busy timeout, since both would wait for ever.
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
        # A transaction that starts as a writer does wait for its turn.
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")


def begin(connection: Connection) -> None:
    """Begin the transactions that SQLAlchemy runs itself, which are migrations."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def is_busy(error: BaseException | None) -> bool:
    """Return whether the driver's error means that another connection holds a lock."""
    code = getattr(error, "sqlite_errorcode", 0)
    return bool(code & _PRIMARY_CODE == _SQLITE_BUSY)
