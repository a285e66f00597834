"""Memory for answers that clients have not read yet, bounded for all connections of a listener.

A client that requests a page of 4 MB and reads nothing makes the service keep it. One such client
is harmless; fifty of them end the process, whose memory has a limit. So what a write waits for is
counted, which leaves out up to 64 KiB of each connection. Where it is too much, the slowest reader
loses its connection, and so does a client that takes nothing for a minute.

A new answer has made no progress yet, so it is judged only after its first seconds. Until then it
counts as a reader of moderate speed: slower ones that came before lose first, faster ones never.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_UNSENT_BYTES = 8 * 1024 * 1024
_YOUNG_FACTOR = 2
"""How many times as much there may be while the slowest reader is too young to be judged."""
_YOUNG_S = 2.0
_YOUNG_RATE = 64 * 1024
_STALLED_S = 60.0


@dataclass(slots=True, eq=False)
class _Answer:
    """What waits in one connection, since when."""

    transport: asyncio.WriteTransport
    size: int
    since: float
    timer: asyncio.TimerHandle | None = None

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def find_rate(self, now: float, young_s: float) -> float:
        """Return how many bytes a second the client takes, or is presumed to take."""
        age_s = now - self.since
        taken = self.size - self.unsent
        if age_s < young_s:
            return max(_YOUNG_RATE, taken / young_s)
        return taken / age_s if age_s else 0.0


class SendBudget:
    """The answers that wait."""

    def __init__(
        self,
        max_bytes: int = MAX_UNSENT_BYTES,
        *,
        young_s: float = _YOUNG_S,
        stalled_s: float = _STALLED_S,
    ) -> None:
        self._max_bytes = max_bytes
        self._young_s = young_s
        self._stalled_s = stalled_s
        # In the order in which they came.
        self._waiting: dict[_Answer, None] = {}
        self._later: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def waiting(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Count what a connection has not sent, while the block waits for its client.

        Args:
            transport: Has the answer, or gets it before the event loop turns.
        """
        loop = asyncio.get_running_loop()
        answer = _Answer(transport, transport.get_write_buffer_size(), loop.time())
        self._waiting[answer] = None
        loop.call_soon(self._make_room)
        self._look_later(answer)
        try:
            yield
        finally:
            del self._waiting[answer]
            if answer.timer is not None:
                answer.timer.cancel()
            if not self._waiting and self._later is not None:
                self._later.cancel()

    def _make_room(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for answer in self._waiting:
            answer.size = max(answer.size, answer.unsent)
        while (total := sum(answer.unsent for answer in self._waiting)) > self._max_bytes:
            waiting = (answer for answer in self._waiting if answer.unsent)
            # `min` returns the first of equals, which came first.
            slowest = min(waiting, key=lambda answer: answer.find_rate(now, self._young_s))
            left_s = slowest.since + self._young_s - now
            if left_s > 0 and total <= self._max_bytes * _YOUNG_FACTOR:
                if self._later is not None:
                    self._later.cancel()
                self._later = loop.call_later(left_s, self._make_room)
                return
            slowest.transport.abort()

    def _look_later(self, answer: _Answer) -> None:
        loop = asyncio.get_running_loop()
        answer.timer = loop.call_later(self._stalled_s, self._look, answer, answer.unsent)

    def _look(self, answer: _Answer, before: int) -> None:
        if before and answer.unsent >= before:
            answer.transport.abort()
        else:
            self._look_later(answer)
