import asyncio
import threading
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo.api.lazy_app import LazyApp


async def receive() -> Message:
    return {}


async def send(_message: Message) -> None:
    pass


async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
    scope["served"] = True


def serve(lazy: LazyApp, number: int) -> list[dict[str, Any]]:
    scopes: list[dict[str, Any]] = [{} for _ in range(number)]

    async def run() -> None:
        await asyncio.gather(*(lazy(scope, receive, send) for scope in scopes))

    asyncio.run(run())
    return scopes


def test_requests_at_once_make_one_application_off_the_event_loop() -> None:
    threads: list[int] = []

    def make() -> ASGIApp:
        threads.append(threading.get_ident())
        return app

    lazy = LazyApp("/mcp", make)
    scopes = serve(lazy, 5)

    assert all(scope["served"] and scope["route"].path == "/mcp" for scope in scopes)
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_an_application_that_cannot_be_made_is_tried_again() -> None:
    outcomes: list[ASGIApp | None] = [None, app]

    def make() -> ASGIApp:
        made = outcomes.pop(0)
        if made is None:
            raise OSError
        return made

    lazy = LazyApp("/mcp", make)
    with pytest.raises(OSError):  # noqa: PT011 - the one above
        serve(lazy, 1)
    assert serve(lazy, 1)[0]["served"]
