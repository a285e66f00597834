"""Applications on a loopback port, in a thread of the tests; a front that adds a token."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, cast

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.integration.service import Service

METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
# What belongs to one connection, and what the answer gets anew.
_OWN = {"connection", "transfer-encoding", "content-length", "date", "server"}


@contextlib.contextmanager
def open_loopback(app: ASGIApp) -> Iterator[str]:
    """Serve an application; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = Config()
    # Hypercorn closes it.
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = None
    stop = threading.Event()

    async def run() -> None:
        stopped = partial(asyncio.to_thread, stop.wait)
        await serve(cast("Any", app), config, shutdown_trigger=stopped)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield address
    finally:
        stop.set()
        thread.join()


def make_front(service: Service, token: str = "") -> ASGIApp:
    """Return a front of a service, which adds a token to requests without one."""
    transport = httpx.AsyncHTTPTransport(uds=str(service.folder / "public.sock"), verify=False)
    client = httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113 - the service has one

    async def forward(request: Request) -> Response:
        headers = dict(request.headers)
        if token:
            headers.setdefault("authorization", f"Bearer {token}")
        url = f"http://todo{request.url.path}"
        body = await request.body()
        # The name that the client used, for the check of its origin.
        answer = await client.request(request.method, url, headers=headers, content=body)
        response = Response(answer.content, answer.status_code)
        for name, value in answer.headers.multi_items():
            if name not in _OWN:
                response.headers.append(name, value)
        return response

    @contextlib.asynccontextmanager
    async def close_client(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    routes = [Route("/{path:path}", forward, methods=METHODS)]
    return Starlette(routes=routes, lifespan=close_client)
