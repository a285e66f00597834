"""Lazy applications: ASGI applications that are imported and created for their first request."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class LazyApp:
    """An application that costs nothing until somebody uses it."""

    def __init__(self, path: str, make: Callable[[], ASGIApp]) -> None:
        """Store the path and the factory.

        Args:
            path: Path for logs and metrics, because the framework knows only its own routes.
            make: Imports and creates the application; runs in a thread.
        """
        self.path = path
        self._make = make
        self._made: ASGIApp | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        scope["route"] = self
        made = self._made or await self._get()
        await made(scope, receive, send)

    async def _get(self) -> ASGIApp:
        async with self._lock:
            if self._made is None:
                # Other requests continue during the imports.
                self._made = await asyncio.to_thread(self._make)
            return self._made
