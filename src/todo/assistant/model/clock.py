"""Time limits of one answer: to the first token, between tokens, and of the whole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

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
            what = "no token has arrived" if self.first_token_s is None else "there is no end"
            raise ModelError(
                "timeout", f"{what} after {self.elapsed_s:.1f} s", of_server=of_server
            ) from None

    def note_token(self) -> None:
        """Let the time to the next token start."""
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
