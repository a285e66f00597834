"""Time limits that only a hang meets: a clock that slows down with the machine."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

_SAMPLE_S = 1.0
MAX_SLOWNESS = 20.0
"""Bounds what a hang may take, however many programs run."""

_T = TypeVar("_T")


class MachineClock:
    """Counts seconds as a machine without other work would.

    With ten programs on two cores each gets a fifth of the time that it would like to have: the
    clock counts a second in five. What it cannot see (a disk or a processor that is slow by
    itself) is left to the limits, which are ten times what a quiet machine takes.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.monotonic,
        find_slowness: Callable[[], float] | None = None,
    ) -> None:
        self._wall = wall
        self._find_slowness = find_slowness or find_slowness_by_load
        self._counted = 0.0
        self._sampled_at = wall()
        self._slowness = self._find_slowness()

    def now(self) -> float:
        """Seconds since the clock was made; never goes back."""
        wall = self._wall()
        passed = self._counted + (wall - self._sampled_at) / self._slowness
        if wall >= self._sampled_at + _SAMPLE_S:
            self._counted, self._sampled_at = passed, wall
            self._slowness = self._find_slowness()
        return passed


def find_slowness_by_load() -> float:
    """Return the number of programs per core, now or during the last minute."""
    fields = Path("/proc/loadavg").read_text().split()
    wanted = max(float(fields[0]), float(fields[3].partition("/")[0]))
    return min(max(1.0, wanted / len(os.sched_getaffinity(0))), MAX_SLOWNESS)


CLOCK = MachineClock()


def wait_until(
    met: Callable[[], _T],
    what: str,
    *,
    within_s: float,
    explain: Callable[[], str] = lambda: "",
    ignore: Sequence[type[Exception]] = (),
    poll_s: float = 0.05,
) -> _T:
    """Poll until something is true, and return it.

    Args:
        met: Returns what is waited for, or something false; raises where waiting is in vain.
        what: What is waited for, for the error.
        within_s: Seconds on `CLOCK`: ten times what it takes on a quiet machine, or more.
        explain: Returns what to show when it does not come, such as the end of a log.
        ignore: Errors that mean not yet.
        poll_s: Seconds between two attempts.

    Raises:
        TimeoutError: It did not come.
    """
    ends_at = CLOCK.now() + within_s
    while True:
        # Before the attempt: it is made once more after a pause in which nothing here ran.
        in_vain = CLOCK.now() > ends_at
        with contextlib.suppress(*ignore):
            if found := met():
                return found
        if in_vain:
            raise TimeoutError(f"not {what} within {within_s:g} s: {explain()}")
        time.sleep(poll_s)
