"""Admission to a model server: FIFO, with a limit of concurrent requests over all users."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from todo.assistant.model.client import ModelError
from todo.observability.assistant_metrics import AssistantMetrics


class RequestQueue:
    """FIFO queue of requests to a model server; `parallel` 0 means no limit.

    A server that processes one request at a time would queue the others itself, and would seem
    silent to them.
    """

    def __init__(self, parallel: int, metrics: AssistantMetrics) -> None:
        # An asyncio.Semaphore is FIFO and removes canceled waiters.
        self._slots = asyncio.Semaphore(parallel) if parallel else None
        self._metrics = metrics

    @contextlib.asynccontextmanager
    async def admitting(self, until: float) -> AsyncIterator[None]:
        """Wait for a slot until the deadline on the event loop's clock; hold it during the block.

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
