"""Send budget: a limit on the memory of responses that clients have not read yet.

A client that requests a page of 4 MB and does not read it makes the service keep the page; fifty
such clients exceed the memory limit of the process. So the unsent bytes of all connections of a
listener are counted, except for 64 KiB per connection. Above the limit, the slowest reader is
disconnected. A client that receives nothing for a minute is disconnected as well.

During its first seconds a response cannot be judged by its progress. Until then its client counts
as a reader of moderate speed: slower readers are disconnected first, faster ones later.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_UNSENT_BYTES = 8 * 1024 * 1024
_YOUNG_FACTOR = 2
"""Factor by which the limit grows while the slowest reader is too young to be judged."""
_YOUNG_S = 2.0
_YOUNG_RATE = 64 * 1024
_STALLED_S = 60.0


@dataclass(slots=True, eq=False)
class _UnsentResponse:
    """Response that waits for its client."""

    transport: asyncio.WriteTransport
    size: int
    since: float
    timer: asyncio.TimerHandle | None = None

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def find_rate(self, now: float, young_s: float) -> float:
        """Return the client's receive rate in bytes per second; at least _YOUNG_RATE at first."""
        age_s = now - self.since
        received = self.size - self.unsent
        if age_s < young_s:
            return max(_YOUNG_RATE, received / young_s)
        return received / age_s if age_s else 0.0


class SendBudget:
    """Limit on the unsent bytes of all responses that wait for their clients."""

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
        # In order of arrival.
        self._waiting: dict[_UnsentResponse, None] = {}
        self._later: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def waiting(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Count the unsent bytes of a connection while the block waits for its client.

        The response must be written by the end of this event loop iteration.
        """
        loop = asyncio.get_running_loop()
        response = _UnsentResponse(transport, transport.get_write_buffer_size(), loop.time())
        self._waiting[response] = None
        loop.call_soon(self._make_room)
        self._check_later(response)
        try:
            yield
        finally:
            del self._waiting[response]
            if response.timer is not None:
                response.timer.cancel()
            if not self._waiting and self._later is not None:
                self._later.cancel()

    def _make_room(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for response in self._waiting:
            response.size = max(response.size, response.unsent)
        while (total := sum(response.unsent for response in self._waiting)) > self._max_bytes:
            waiting = (response for response in self._waiting if response.unsent)
            # `min` returns the first of several equal responses: the oldest.
            slowest = min(waiting, key=lambda response: response.find_rate(now, self._young_s))
            left_s = slowest.since + self._young_s - now
            if left_s > 0 and total <= self._max_bytes * _YOUNG_FACTOR:
                if self._later is not None:
                    self._later.cancel()
                self._later = loop.call_later(left_s, self._make_room)
                return
            slowest.transport.abort()

    def _check_later(self, response: _UnsentResponse) -> None:
        loop = asyncio.get_running_loop()
        response.timer = loop.call_later(self._stalled_s, self._check, response, response.unsent)

    def _check(self, response: _UnsentResponse, before: int) -> None:
        if before and response.unsent >= before:
            response.transport.abort()
        else:
            self._check_later(response)
