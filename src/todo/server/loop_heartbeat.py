"""Heartbeat counter of the event loop, in a file that the health probe reads (ADR 52).

A busy loop does not answer the probe, whether one callback never ends or a thousand requests are
queued. The counter distinguishes the two cases.
"""

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from todo.probe import COUNTER_SUFFIX

_INTERVAL_S = 0.5
"""Interval in seconds; shorter than the probe's timeout for an idle server."""
_BYTES = 8

_log = logging.getLogger("todo.loop_counter")


class LoopHeartbeat:
    """Counter file that is written twice a second while the event loop runs.

    If the file cannot be created, the probe judges only by responses.
    """

    def __init__(self, probe_socket: str) -> None:
        self._path = Path(probe_socket + COUNTER_SUFFIX)
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        try:
            self._path.unlink(missing_ok=True)
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            _log.warning("cannot count for the health probe in %s: %s", self._path, error.strerror)
            self._file = -1

    def start(self) -> None:
        """Start counting."""
        if self._file >= 0:
            self._beat()

    def _beat(self) -> None:
        self._count += 1
        with contextlib.suppress(OSError):
            os.pwrite(self._file, self._count.to_bytes(_BYTES, "big"), 0)
        # A callback, not a task: it runs in the loop iteration in which it is due.
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._beat)

    def close(self) -> None:
        """Stop counting, and remove the file unless a successor has replaced it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._file < 0:
            return
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == os.fstat(self._file).st_ino:
                self._path.unlink()
        os.close(self._file)
        self._file = -1
