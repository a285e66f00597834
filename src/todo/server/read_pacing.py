"""Gives the reads of Hypercorn's connections a turn of the event loop each.

Hypercorn handles all that it is given before the event loop turns again, and some bytes are dear:
empty frames, chunks of a byte. Were every connection read in each turn, a hundred of them would
hold up everybody else a hundred times as long.
"""

import asyncio
from collections import deque


class Pace:
    """Lets one of those who wait continue in each turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def wait(self) -> None:
        """Wait for a turn of one's own."""
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
