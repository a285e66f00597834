"""A budget of processor time for work whose cost the caller of a request decides.

Only the processor time of the running thread counts. Waiting, other threads and a busy machine
spend nothing, so a budget refuses costly input, not a slow machine.
"""

import contextlib
import time
from collections.abc import Callable, Iterator


class TimeBudgetExceededError(Exception):
    """The budget is spent."""


class TimeBudget:
    """Processor time for all that one request, or one component of a file, makes this program do.

    One thread at a time may spend it. Long loops call `check`; short steps need not, because an
    exhausted budget starts nothing new.
    """

    def __init__(self, limit_s: float, *, clock: Callable[[], float] = time.thread_time) -> None:
        """Grant a budget.

        Args:
            limit_s: Seconds of processor time.
            clock: Returns the processor time of the running thread, in seconds.
        """
        self._left_s = limit_s
        self._clock = clock
        self._started_s: float | None = None

    @contextlib.contextmanager
    def spend(self) -> Iterator[None]:
        """Charge the block to the budget.

        Raises:
            TimeBudgetExceededError: Nothing is left; the block does not run.
        """
        self.check()
        self._started_s = self._clock()
        try:
            yield
        finally:
            self._left_s -= self._clock() - self._started_s
            self._started_s = None

    def check(self) -> None:
        """Continue only within the budget.

        Raises:
            TimeBudgetExceededError: It is spent.
        """
        spent_s = 0.0 if self._started_s is None else self._clock() - self._started_s
        if spent_s >= self._left_s:
            raise TimeBudgetExceededError
