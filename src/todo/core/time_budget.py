"""Budget of processor time for work whose cost depends on the caller's input.

Only the running thread's time counts, so input is rejected for its cost, not for a slow machine.
"""

import contextlib
import time
from collections.abc import Callable, Iterator


class TimeBudgetExceededError(Exception):
    """The budget is exhausted."""


class TimeBudget:
    """Processor time for one request, or for one component of a file.

    Only one thread at a time may spend it. Long loops call `check`; short steps need not, because
    `spend` rejects new work once the budget is exhausted.
    """

    def __init__(self, limit_s: float, *, clock: Callable[[], float] = time.thread_time) -> None:
        self._left_s = limit_s
        self._clock = clock
        self._started_s: float | None = None

    @contextlib.contextmanager
    def spend(self) -> Iterator[None]:
        """Charge the processor time of the block to the budget.

        Raises:
            TimeBudgetExceededError: The budget is exhausted; the block does not run.
        """
        self.check()
        self._started_s = self._clock()
        try:
            yield
        finally:
            self._left_s -= self._clock() - self._started_s
            self._started_s = None

    def check(self) -> None:
        """Raise TimeBudgetExceededError if the budget is exhausted."""
        spent_s = 0.0 if self._started_s is None else self._clock() - self._started_s
        if spent_s >= self._left_s:
            raise TimeBudgetExceededError
