"""Fatal errors: one line on standard error, and one exit code."""

import contextlib
import json
import sys
from datetime import UTC, datetime
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes based on sysexits.h, by which service managers distinguish causes."""

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
    """The program must exit; the message contains the remedy."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def report_fatal(error: FatalError) -> int:
    """Write the cause as one JSON line to standard error; return the exit code."""
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
    """Write the cause as one line to standard error; return the exit code."""
    _write(f"{program}: error: {' '.join(error.message.split())}")
    return int(error.code)


def _write(line: str) -> None:
    # If nothing can be written, the exit code still reports the cause.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
