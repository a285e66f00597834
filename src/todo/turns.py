"""Who may use a connection next: first come, first served, and not too many waiting."""

import asyncio


class NoTurnError(Exception):
    """Nobody left a place in time, or too many wait already."""


class Turns:
    """Places for a number of tasks at a time.

    SQLAlchemy's own queue for asyncio puts a task that was woken too late at the end again, so
    that under load some wait for many others that came after them.
    """

    def __init__(self, places: int, *, most_waiting: int, timeout_s: float) -> None:
        """Offer places.

        Args:
            places: How many tasks may have one at a time.
            most_waiting: How many may wait; more would only wait in vain.
            timeout_s: Seconds after which waiting is given up.
        """
        self._free = asyncio.Semaphore(places)
        self._most_waiting = most_waiting
        self._timeout_s = timeout_s
        self.waiting = 0

    async def take(self) -> None:
        """Take a place; `leave` gives it back.

        Raises:
            NoTurnError: There is none.
        """
        if not self._free.locked():
            await self._free.acquire()
            return
        if self.waiting >= self._most_waiting:
            raise NoTurnError
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise NoTurnError from None
        finally:
            self.waiting -= 1

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()
