"""Read pacing: one of Hypercorn's connections is read in each event loop iteration.

Hypercorn handles all received bytes within one iteration, and some bytes are expensive: empty
frames, one-byte chunks. Read together, a hundred connections would delay others a hundredfold.
"""

import asyncio
from collections import deque


class ReadPacer:
    """Queue that releases one waiter per event loop iteration."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def wait(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._release)
        await turn

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._release)
