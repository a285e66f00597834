"""Flow control of one connection: pauses reading, and delays writes to a slow client."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from todo.server.send_budget import SendBudget

_HIGH_WATER_BYTES = 64 * 1024
"""Maximum number of unread bytes before reading pauses; one read may exceed it."""


class FlowControl:
    """Back-pressure in both directions of a connection."""

    __slots__ = ("_send_budget", "_transport", "_writable", "is_read_paused")

    def __init__(self, transport: asyncio.Transport, send_budget: SendBudget) -> None:
        self._transport = transport
        self._send_budget = send_budget
        self._writable: asyncio.Future[None] | None = None
        self.is_read_paused = False

    def pause_reading_above(self, unread_bytes: int) -> None:
        """Pause reading if the unread bytes exceed the high-water mark."""
        if unread_bytes > _HIGH_WATER_BYTES:
            self.is_read_paused = True
            self._transport.pause_reading()

    def resume_reading_below(self, unread_bytes: int) -> None:
        """Resume reading if the unread bytes no longer exceed the high-water mark."""
        if self.is_read_paused and unread_bytes <= _HIGH_WATER_BYTES:
            self.is_read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Make writers wait because the transport's buffer is full."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Wake the waiting writers."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def write(self, data: bytes) -> Coroutine[Any, Any, None] | None:
        """Write the data; return a coroutine that waits for a slow client, or None."""
        self._transport.write(data)
        return None if self._writable is None else self._drain(self._writable)

    async def _drain(self, writable: asyncio.Future[None]) -> None:
        with self._send_budget.waiting(self._transport):
            # Several writers may wait on this future: canceling one must not cancel the others.
            await asyncio.shield(writable)
