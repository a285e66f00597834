"""Running turns of the process, which end when it stops, and tasks that outlive their request."""

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
"""Time that turns may continue after the process was told to stop, in seconds."""


class ProcessTurns:
    """Running turns of one process, and the creation of its assistant."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._making: asyncio.Task[Assistant] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def stop(self) -> None:
        """Signal all turns to end, because the process stops."""
        self._stopping.set()

    async def wait_for_stop(self) -> None:
        """Wait until turns must end: `GRACE_S` after `stop` was called."""
        await self._stopping.wait()
        await asyncio.sleep(GRACE_S)

    async def pause(self, seconds: float) -> bool:
        """Sleep until the time has passed or the process stops; return False if it stops."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return not self._stopping.is_set()

    async def get_assistant(self, state: "AppState") -> "Assistant":
        """Return the assistant of the process; the first call creates it."""
        if state.assistant is None:
            if self._making is None or self._making.done():
                self._making = self.start(self._make(state))
            # Shielded, so that a canceled request does not lead to a second assistant.
            return await asyncio.shield(self._making)
        return get_assistant(state)

    async def _make(self, state: "AppState") -> "Assistant":
        # The imports take 0.1 s; a thread keeps the event loop responsive.
        assistant = await asyncio.to_thread(get_assistant, state)
        # The probe of the model server may exceed the timeout of the first message.
        self._preparing = asyncio.create_task(assistant.prepare())
        return assistant

    async def close(self) -> None:
        """Wait for background tasks, such as storing the ends of canceled turns."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait({self._preparing})

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine to its end, even if its caller is canceled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
