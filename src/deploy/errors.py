"""User-visible errors with a cause, a remedy and an exit code."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """Exit codes of `build.py`; 65 to 78 are those of sysexits.h."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DATA = 65  # EX_DATAERR: a file of the project or of the user is malformed
    UNAVAILABLE = 69  # EX_UNAVAILABLE: a tool, a service or the network is missing
    INTERNAL = 70  # EX_SOFTWARE: a bug in this program
    NO_SPACE = 74  # EX_IOERR: the disk is full, or output cannot be written
    CONFIG = 78  # EX_CONFIG: a setting, a secret or the host is unsuitable
    ROLLED_BACK = 80  # an update failed, and the previous version was restored
    REFUSED = 81  # an update was refused before it started
    NOT_ROLLED_BACK = 82  # an update failed, and so did its rollback
    INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class DeployError(Exception):
    """Failure of a command.

    Args:
        message: Cause in one line, without a final period.
        hint: Remedy, printed after the message; empty if there is none.
        code: Exit code of the process.
    """

    def __init__(self, message: str, *, hint: str = "", code: int = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} — {self.hint}" if self.hint else self.message
