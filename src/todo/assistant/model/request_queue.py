"""Admission to a model server: FIFO, with a limit of concurrent requests over all users."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from todo.assistant.model.client import ModelError
from todo.observability.assistant_metrics import AssistantMetrics


class RequestQueue:
    """The requests that wait for a model server.

    A server that answers one request at a time has a queue of its own. There, a request that waits
    looks as if the server were silent; here, its wait says nothing about the server.
    """

    def __init__(self, parallel: int, metrics: AssistantMetrics) -> None:
        """Create an empty queue.

        Args:
            parallel: Maximum number of concurrent requests; 0 for no limit.
            metrics: Counts those that wait.
        """
        # Its waiters are served in their order, and one that is canceled leaves.
        self._slots = asyncio.Semaphore(parallel) if parallel else None
        self._metrics = metrics

    @contextlib.asynccontextmanager
    async def admitting(self, until: float) -> AsyncIterator[None]:
        """Wait for a slot, and hold it during the block.

        Args:
            until: Deadline on the clock of the event loop.

        Raises:
            ModelError: The deadline passed; the server did not cause it.
        """
        if self._slots is None:
            yield
            return
        try:
            with self._metrics.queueing():
                async with asyncio.timeout_at(until):
                    await self._slots.acquire()
        except TimeoutError:
            message = "other requests were using the model server all the time"
            raise ModelError("timeout", message, of_server=False) from None
        try:
            yield
        finally:
            self._slots.release()
