"""Circuit breaker for a dependency of this service: pybreaker, adapted to asyncio."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum, auto

from pybreaker import (
    STATE_CLOSED,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerListener,
    CircuitBreakerState,
    CircuitMemoryStorage,
)


class Outcome(Enum):
    """Meaning of an exception for the state of the dependency."""

    FAILURE = auto()
    SUCCESS = auto()
    IGNORED = auto()


class BreakerOpenError(Exception):
    """The breaker rejected the call; `retry_after_s` is the time until the next probe."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"breaker open for {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class AsyncBreaker:
    """Circuit breaker whose calls may overlap.

    pybreaker lets every concurrent call through while half-open, counts a canceled call as a
    failure (or, if excluded, as a success that closes the breaker), and measures the open time by
    the wall clock, which may be set back. So pybreaker only stores the state and the number of
    consecutive failures. This class decides: one probe at a time, a monotonic clock, and no change
    after outcomes that are unrelated to the dependency.

    Args:
        failures: Number of consecutive failures that open the breaker.
        reset_s: Seconds until an open breaker lets a probe through.
        classify: Returns the outcome for an exception.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        failures: int,
        reset_s: float,
        classify: Callable[[BaseException], Outcome],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._opened_s = 0.0
        self._counter = CircuitMemoryStorage(STATE_CLOSED)
        self._breaker = CircuitBreaker(fail_max=failures, state_storage=self._counter)
        self.transitions: Counter[str] = Counter()
        self._breaker.add_listener(_Transitions(self.transitions))
        self._reset_s = reset_s
        self._classify = classify
        self._probing = False

    @property
    def state(self) -> str:
        """State of the breaker: `closed`, `open` or `half-open`."""
        return str(self._breaker.current_state)

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next probe; 0 if calls are allowed."""
        if self.state != STATE_OPEN:
            return 0.0
        return max(0.0, self._reset_s - (self._clock() - self._opened_s))

    def check(self) -> None:
        """Raise BreakerOpenError if the breaker is open or another call is the probe."""
        if self._probing or self.retry_after_s > 0:
            raise BreakerOpenError(self.retry_after_s or self._reset_s)

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Guard the calls in the block.

        Raises:
            BreakerOpenError: The breaker is open, or another call is the probe.
        """
        probe = self.state != STATE_CLOSED
        if probe:
            self.check()
            self._probing = True
            if self.state == STATE_OPEN:
                self._breaker.half_open()
        try:
            yield
        except BaseException as error:
            self._report(error, probe=probe)
            raise
        else:
            self._report(None, probe=probe)
        finally:
            if probe:
                self._probing = False

    def report(self, error: BaseException) -> None:
        """Count a failure that was detected after its call was abandoned."""
        self._report(error, probe=False)

    def _report(self, error: BaseException | None, *, probe: bool) -> None:
        # The outcome of a call that began before the breaker opened is outdated.
        if not probe and self.state != STATE_CLOSED:
            return
        verdict = Outcome.SUCCESS
        if error is not None:
            cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
            verdict = Outcome.IGNORED if cancelled else self._classify(error)
        if verdict is Outcome.IGNORED:
            return
        if verdict is Outcome.FAILURE:
            self._counter.increment_counter()
            if probe or self._counter.counter >= self._breaker.fail_max:
                self._opened_s = self._clock()
                self._breaker.open()
        elif probe:
            self._breaker.close()
        else:
            self._counter.reset_counter()


class _Transitions(CircuitBreakerListener):
    """Counter of transitions, by the state that is entered."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def state_change(
        self,
        cb: CircuitBreaker,  # noqa: ARG002 - the signature of pybreaker
        old_state: CircuitBreakerState | None,  # noqa: ARG002 - likewise
        new_state: CircuitBreakerState,
    ) -> None:
        self._counts[new_state.name] += 1
