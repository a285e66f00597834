"""Lazy applications: ASGI applications that are created for their first request."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class LazyApp:
    """ASGI application that is created on first use.

    Args:
        path: Path for logs and metrics, because the framework knows only its own routes.
        make: Imports and creates the application; runs in a thread.
    """

    def __init__(self, path: str, make: Callable[[], ASGIApp]) -> None:
        self.path = path
        self._make = make
        self._made: ASGIApp | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the application."""
        scope["route"] = self
        made = self._made or await self._get()
        await made(scope, receive, send)

    async def _get(self) -> ASGIApp:
        async with self._lock:
            if self._made is None:
                # In a thread, so that other requests continue during the imports.
                self._made = await asyncio.to_thread(self._make)
            return self._made
