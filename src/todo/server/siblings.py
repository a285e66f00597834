"""Sibling instances that share a listening socket, and their readiness."""

import contextlib
import fcntl
import os
from pathlib import Path

from todo.core.exit import ExitCode, FatalError


class Siblings:
    """Readiness of all instances, as locks: each instance locks its own file while it is ready.

    The kernel releases the lock when the process ends.

    Args:
        file: File of this instance; the other files in its folder belong to its siblings.

    Raises:
        FatalError: The file cannot be opened.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._own = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"TODO_INSTANCE_FILE: cannot open {file}: {error.strerror}"
            raise FatalError(ExitCode.CONFIGURATION, message) from None
        self._file = file

    def mark(self, *, ready: bool) -> None:
        """Publish whether this instance is ready."""
        # A sibling that checks the lock holds it for a moment; the next call succeeds.
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._own, fcntl.LOCK_EX | fcntl.LOCK_NB if ready else fcntl.LOCK_UN)

    def is_another_ready(self) -> bool:
        """Return whether a sibling is ready; a hung one counts until its health check ends it."""
        return any(map(_is_locked, self._find_others()))

    def _find_others(self) -> list[Path]:
        """Return the files of the siblings; hidden files do not belong to instances."""
        found = self._file.parent.iterdir()
        return [each for each in found if each.name[0] != "." and each.name != self._file.name]


def _is_locked(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
