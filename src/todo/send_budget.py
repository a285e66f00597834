"""Memory for answers that clients have not read yet, bounded for all connections of a listener.

Who asks for a page of 4 MB and reads nothing makes the service keep it. One such client is
harmless; fifty of them end the process, whose memory has a limit. So what a write waits for is
counted, which leaves out up to 64 KiB of each connection. Where it is too much, the client that
has taken the least loses its connection, and so does one that takes nothing for a minute.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_UNSENT_BYTES = 8 * 1024 * 1024
_STALLED_S = 60.0


@dataclass(slots=True, eq=False)
class _Answer:
    """What waits in one connection."""

    transport: asyncio.WriteTransport
    size: int
    timer: asyncio.TimerHandle | None = None

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()


class SendBudget:
    """The answers that wait."""

    def __init__(self, max_bytes: int = MAX_UNSENT_BYTES, *, stalled_s: float = _STALLED_S) -> None:
        self._max_bytes = max_bytes
        self._stalled_s = stalled_s
        # In the order in which they came.
        self._waiting: dict[_Answer, None] = {}

    @contextlib.contextmanager
    def waiting(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Count what a connection has not sent, while the block waits for its client.

        Args:
            transport: Has the answer, or gets it before the event loop turns.
        """
        answer = _Answer(transport, transport.get_write_buffer_size())
        self._waiting[answer] = None
        asyncio.get_running_loop().call_soon(self._make_room)
        self._look_later(answer)
        try:
            yield
        finally:
            del self._waiting[answer]
            if answer.timer is not None:
                answer.timer.cancel()

    def _make_room(self) -> None:
        for answer in self._waiting:
            answer.size = max(answer.size, answer.unsent)
        while sum(answer.unsent for answer in self._waiting) > self._max_bytes:
            waiting = (answer for answer in self._waiting if answer.unsent)
            # `min` returns the first of equals: of those who took nothing, who came first.
            min(waiting, key=lambda answer: answer.size - answer.unsent).transport.abort()

    def _look_later(self, answer: _Answer) -> None:
        loop = asyncio.get_running_loop()
        answer.timer = loop.call_later(self._stalled_s, self._look, answer, answer.unsent)

    def _look(self, answer: _Answer, before: int) -> None:
        if before and answer.unsent >= before:
            answer.transport.abort()
        else:
            self._look_later(answer)
