"""WebSockets that Hypercorn serves on a connection of ours."""

import asyncio
from pathlib import Path

from starlette.types import Message, Receive, Scope, Send

from tests.unit.todo.server.test_hypercorn_cycle import exchange

SHAKE = (
    b"GET /ws/x HTTP/1.1\r\nHost: todo\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


def test_a_websocket_that_the_application_refuses_ends_the_connection(tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.close"})

    assert exchange(tmp_path, app, SHAKE, ends=False).startswith(b"HTTP/1.1 403 ")


def test_frames_before_the_handshake_is_over_are_held_back(tmp_path: Path) -> None:
    seen: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        await asyncio.sleep(0.05)
        await send({"type": "websocket.accept"})
        seen.append(await receive())
        await send({"type": "websocket.close", "code": 1000})
        assert b"sec-websocket-extensions" not in dict(scope["headers"])

    text = b"\x81\x82\0\0\0\0hi"
    close = b"\x88\x82\0\0\0\0\x03\xe8"
    answer = exchange(tmp_path, app, SHAKE + text, close, ends=False)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\x88\x02\x03\xe8")
    assert [message.get("text") for message in seen] == [None, "hi"]


def test_a_websocket_whose_client_ends_is_over(tmp_path: Path) -> None:
    seen: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        seen.append(await receive())

    assert exchange(tmp_path, app, SHAKE).startswith(b"HTTP/1.1 101 ")
    assert [message["type"] for message in seen] == ["websocket.disconnect"]
