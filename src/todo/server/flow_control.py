"""Flow control of one connection: when it is read, and how writes wait for a slow client."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from todo.server.send_budget import SendBudget

_HIGH_WATER_BYTES = 64 * 1024
"""Maximum unread bytes of a client, plus those of one more read."""


class FlowControl:
    """Back-pressure in both directions.

    Attributes:
        is_read_paused: Whether the transport is not read, because too much is unread.
    """

    __slots__ = ("_send_budget", "_transport", "_writable", "is_read_paused")

    def __init__(self, transport: asyncio.Transport, send_budget: SendBudget) -> None:
        self._transport = transport
        self._send_budget = send_budget
        self._writable: asyncio.Future[None] | None = None
        self.is_read_paused = False

    def pause_reading_above(self, unread_bytes: int) -> None:
        """Stop reading when more than the high-water mark is unread."""
        if unread_bytes > _HIGH_WATER_BYTES:
            self.is_read_paused = True
            self._transport.pause_reading()

    def resume_reading_below(self, unread_bytes: int) -> None:
        """Read again when no more than the high-water mark is unread."""
        if self.is_read_paused and unread_bytes <= _HIGH_WATER_BYTES:
            self.is_read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Make writers wait: the transport's buffer is full."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Wake the writers that wait."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def write(self, data: bytes) -> Coroutine[Any, Any, None] | None:
        """Write; return a wait for the client where it is too slow, which is rare."""
        self._transport.write(data)
        return None if self._writable is None else self._drain(self._writable)

    async def _drain(self, writable: asyncio.Future[None]) -> None:
        with self._send_budget.waiting(self._transport):
            # Others may wait for it as well: a writer that is canceled must not end their wait.
            await asyncio.shield(writable)
