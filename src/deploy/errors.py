"""The error that a user sees: its cause, a remedy, and an exit code."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """Exit codes of `build.py`, after sysexits.h where it has one."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DATA = 65  # EX_DATAERR: a file of the project or of the user is malformed
    UNAVAILABLE = 69  # EX_UNAVAILABLE: a tool, a service or the network is missing
    INTERNAL = 70  # EX_SOFTWARE: a mistake in this program
    NO_SPACE = 74  # EX_IOERR: the disk is full, or output cannot be written
    CONFIG = 78  # EX_CONFIG: a setting, a secret or the host is not as needed
    ROLLED_BACK = 80  # an update failed, and the stack runs what it ran before
    REFUSED = 81  # an update was not begun
    NOT_ROLLED_BACK = 82  # an update failed, and so did the way back
    INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class DeployError(Exception):
    """A failure with a one-line cause and, if there is one, a remedy.

    Args:
        message: What failed and why, without a final period.
        hint: Remedy for the user; printed after the message.
        code: Exit code of the process.
    """

    def __init__(self, message: str, *, hint: str = "", code: int = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} — {self.hint}" if self.hint else self.message
