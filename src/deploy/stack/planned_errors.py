"""Log errors that `build.py` commands cause on purpose, and that `status` therefore omits.

Restarting the database, or making it refuse writes, causes errors in its log. An error is omitted
only if it matches such a pattern and was logged while a command ran.
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
"""Unit -> pattern of its errors while the database refuses writes, stops or starts."""


class PlannedErrors:
    """Filter for the log errors of commands, given the start and end time of each."""

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
    """Record the start and end time of the block in an existing folder, even if the block fails."""
    start = datetime.now(UTC)
    try:
        yield
    finally:
        windows = [*_read(folder), (start, datetime.now(UTC))][-_MAX_ENTRIES:]
        entries = [[time.isoformat() for time in window] for window in windows]
        # A full disk must not fail a command that succeeded.
        with contextlib.suppress(OSError):
            atomic_write.write_text(folder / FILE, f"{json.dumps(entries)}\n")


def find(folder: Path) -> PlannedErrors:
    """Return the filter for the commands that are recorded in a folder."""
    return PlannedErrors(_read(folder))


def _read(folder: Path) -> list[tuple[datetime, datetime]]:
    """Return the recorded times of commands; empty if the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        entries = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [
            (datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in entries
        ]
    return []
