"""Time limits of one answer, and the total time that the server was silent."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

from todo.assistant.model.client import ModelError


class AnswerClock:
    """Ends the wait for an answer."""

    def __init__(self, whole_s: float, gap_s: float) -> None:
        """Start the clock.

        Args:
            whole_s: Seconds for the whole answer.
            gap_s: Seconds to the first token, and from each token to the next.
        """
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
        """Seconds since the start."""
        return self._loop.time() - self._started_s

    def _start_gap(self) -> float:
        """Return when the wait for the next token ends."""
        gap_at_s = self._loop.time() + self._gap_s
        # The whole time can be short because of the caller: the server may be well.
        self._is_gap = gap_at_s <= self._whole_at_s
        return min(self._whole_at_s, gap_at_s)

    @contextlib.asynccontextmanager
    async def limiting(self) -> AsyncIterator[None]:
        """Limit the time of the block.

        Raises:
            ModelError: The time is over.
        """
        # One request may be sent again in other words; its time is still the same.
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
        """Exclude a block, in which the caller takes its time, from the time between tokens."""
        self._with_caller = True
        self._timeout.reschedule(self._whole_at_s)
        # Stays set if the time is over: then the caller took it.
        yield
        self._with_caller = False
        self._timeout.reschedule(self._start_gap())


class Silence:
    """The time in which requests waited and none of them got a token.

    Requests that wait at the same time count once: some servers answer one after the other.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without any silence.

        Args:
            clock: Seconds that never go back.
        """
        self._clock = clock
        self._waiting = 0
        self._counted_s = 0.0
        self._since_s = 0.0

    @property
    def length_s(self) -> float:
        """Seconds of silence since the last token."""
        return self._counted_s + (self._clock() - self._since_s if self._waiting else 0.0)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block."""
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
        """Forget the silence: the server has answered."""
        self._counted_s = 0.0
        self._since_s = self._clock()
