"""Timeouts of one answer, and the time that the model server has been silent."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

from todo.assistant.model.client import ModelError


class AnswerClock:
    """Timeouts of one answer: `whole_s` in total, `gap_s` before the first and each next token."""

    def __init__(self, whole_s: float, gap_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        self._whole_at_s = self._started_s + whole_s
        self._gap_s = gap_s
        self._timeout = asyncio.timeout_at(None)
        self._with_caller = False
        self._is_gap = False
        self.first_token_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Time since the creation of the clock, in seconds."""
        return self._loop.time() - self._started_s

    def _start_gap(self) -> float:
        """Start the wait for the next token; return its deadline on the event loop's clock."""
        gap_at_s = self._loop.time() + self._gap_s
        # A caller may shorten the whole timeout, so only the gap timeout is the server's fault.
        self._is_gap = gap_at_s <= self._whole_at_s
        return min(self._whole_at_s, gap_at_s)

    @contextlib.asynccontextmanager
    async def limiting(self) -> AsyncIterator[None]:
        """Raise ModelError if the block exceeds a timeout."""
        # A request may be repeated with other parameters, within the same total timeout.
        self._timeout = asyncio.timeout_at(self._start_gap())
        try:
            async with self._timeout:
                yield
        except TimeoutError:
            if not self._timeout.expired():
                raise
            of_server = self._is_gap and not self._with_caller
            what = "no token has arrived" if self.first_token_s is None else "no end has arrived"
            raise ModelError(
                "timeout", f"{what} after {self.elapsed_s:.1f} s", of_server=of_server
            ) from None

    def note_token(self) -> None:
        """Restart the timeout of the next token."""
        if self.first_token_s is None:
            self.first_token_s = self.elapsed_s
        self._timeout.reschedule(self._start_gap())

    @contextlib.contextmanager
    def with_caller(self) -> Iterator[None]:
        """Exclude the block, in which the caller runs, from the timeout between tokens."""
        self._with_caller = True
        self._timeout.reschedule(self._whole_at_s)
        # No reset if a timeout expires in the block, because the caller has used up the time.
        yield
        self._with_caller = False
        self._timeout.reschedule(self._start_gap())


class Silence:
    """Time during which requests were waiting and none of them received a token.

    Concurrent requests count once, because some servers process one at a time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting = 0
        self._counted_s = 0.0
        self._since_s = 0.0

    @property
    def length_s(self) -> float:
        """Silence since the last token, in seconds."""
        return self._counted_s + (self._clock() - self._since_s if self._waiting else 0.0)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the duration of the block as waiting time."""
        if not self._waiting:
            self._since_s = self._clock()
        self._waiting += 1
        try:
            yield
        finally:
            self._counted_s = self.length_s
            self._since_s = self._clock()
            self._waiting -= 1

    def end(self) -> None:
        """Reset the silence, because the server has answered."""
        self._counted_s = 0.0
        self._since_s = self._clock()
