"""Errors in the log that commands of `build.py` cause on purpose, so that `status` leaves them out.

A command that restarts the database or lets it refuse writes makes it log errors. Each of them is
left out only if it is of that kind and from the time in which such a command ran.
"""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deploy.stack.log_line import Line

FILE = "commands.json"
_MAX_ENTRIES = 50
_KINDS = {
    "db": re.compile(
        r"(ERROR: +cannot execute .+ in a read-only transaction"
        r"|FATAL: +terminating .+ due to administrator command"
        r"|FATAL: +the database system is (starting up|shutting down|not yet accepting))"
    ),
    "wal": re.compile(
        r"pg_receivewal: error: "
        r"(connection to server|could not (send|receive)|unexpected termination of replication)"
    ),
}
"""Unit -> what it logs while the database refuses writes, stops and starts."""


class PlannedErrors:
    """The errors that commands caused, among others.

    Args:
        windows: The times in which commands ran: start and end.
    """

    def __init__(self, windows: Sequence[tuple[datetime, datetime]] = ()) -> None:
        self._windows = windows

    def covers(self, line: Line) -> bool:
        """Return whether a command caused an error."""
        kind = _KINDS.get(line.unit)
        return (
            kind is not None
            and kind.search(line.message) is not None
            and any(start <= line.at <= end for start, end in self._windows)
        )


@contextlib.contextmanager
def noted(folder: Path) -> Iterator[None]:
    """Write down when the block ran, however it ends.

    Args:
        folder: Where; it exists.
    """
    start = datetime.now(UTC)
    try:
        yield
    finally:
        windows = [*_read(folder), (start, datetime.now(UTC))][-_MAX_ENTRIES:]
        entries = [[time.isoformat() for time in window] for window in windows]
        # A full disk must not make a command fail that has succeeded.
        with contextlib.suppress(OSError):
            atomic_write.write_text(folder / FILE, f"{json.dumps(entries)}\n")


def find(folder: Path) -> PlannedErrors:
    """Return the recorded errors of commands.

    Args:
        folder: Folder of the records.
    """
    return PlannedErrors(_read(folder))


def _read(folder: Path) -> list[tuple[datetime, datetime]]:
    """Return the times of commands; empty if the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        entries = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [
            (datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in entries
        ]
    return []
