"""The running turns of this process: they end when it stops, and some tasks outlive them."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from todo.assistant.service import get_assistant

if TYPE_CHECKING:
    from todo.app_state import AppState
    from todo.assistant.turn.runner import Assistant

T = TypeVar("T")

GRACE_S = 2.0
"""Maximum time that a turn may continue when the process stops."""


class ProcessTurns:
    """The turns of one process, and the making of its assistant."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._making: asyncio.Task[Assistant] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def stop(self) -> None:
        """End all turns soon, because the process stops."""
        self._stopping.set()

    async def wait_for_stop(self) -> None:
        """Return when a turn has to end because the process stops."""
        await self._stopping.wait()
        await asyncio.sleep(GRACE_S)

    async def pause(self, seconds: float) -> bool:
        """Wait, at most until the process stops; return whether it continues."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return not self._stopping.is_set()

    async def get_assistant(self, state: "AppState") -> "Assistant":
        """Return the assistant of the process; the first call makes it."""
        if state.assistant is None:
            if self._making is None or self._making.done():
                self._making = self.start(self._make(state))
            # A client that leaves must not let the next one make a second assistant.
            return await asyncio.shield(self._making)
        return get_assistant(state)

    async def _make(self, state: "AppState") -> "Assistant":
        # It imports for a tenth of a second, in which other requests continue.
        assistant = await asyncio.to_thread(get_assistant, state)
        # The model server may need longer than the first message has.
        self._preparing = asyncio.create_task(assistant.prepare())
        return assistant

    async def close(self) -> None:
        """Wait until the ends of turns are stored whose requests were given up."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait({self._preparing})

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine to its end, even if its caller stops waiting."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
