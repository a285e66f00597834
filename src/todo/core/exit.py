"""Fatal errors: one line on standard error, and one exit code."""

import contextlib
import json
import sys
from datetime import UTC, datetime
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes after sysexits.h; service managers distinguish causes by them."""

    OK = 0
    INCOMPLETE = 1
    BROKEN = 2
    USAGE = 64
    SCHEMA_MISMATCH = 65
    DATABASE_UNAVAILABLE = 69
    INTERNAL = 70
    CANNOT_LISTEN = 71
    SECRET = 77
    CONFIGURATION = 78


class FatalError(Exception):
    """The program must end; carries the exit code and a message with the way out."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def report_fatal(error: FatalError) -> int:
    """Write the one JSON line on stderr that explains why the service ends.

    Returns:
        The exit code, for `sys.exit`.
    """
    line = {
        "timestamp": datetime.now(UTC).isoformat(),
        "level": "CRITICAL",
        "logger": "todo",
        "message": " ".join(error.message.split()),
        "code": int(error.code),
    }
    _write(json.dumps(line))
    return int(error.code)


def report_error(program: str, error: FatalError) -> int:
    """Write one line to stderr that explains why a command failed.

    Args:
        program: Name of the command, as the user knows it.
        error: Cause of the failure.

    Returns:
        The exit code, for `sys.exit`.
    """
    _write(f"{program}: error: {' '.join(error.message.split())}")
    return int(error.code)


def _write(line: str) -> None:
    # The exit code says it as well where nothing can be written.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
