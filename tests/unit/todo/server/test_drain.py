"""A stop waits until clients have received their answers."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from todo.server.listener import Listener

GET = b"GET / HTTP/1.1\r\nHost: todo\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: todo\r\nConnection: close\r\n\r\n"
BODY = b"x" * 240_000
"""More than the kernel takes, and too little for the application to wait for the client."""


async def big(_scope: Scope, _receive: Receive, send: Send) -> None:
    length = (b"content-length", b"%d" % len(BODY))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": BODY})


async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    length = (b"content-length", b"2")
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"ok"})


async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    length = (b"content-length", b"2")
    await send({"type": "http.response.start", "status": 413, "headers": [length]})
    await send({"type": "http.response.body", "body": b"no"})


async def read_body(_scope: Scope, receive: Receive, send: Send) -> None:
    while (message := await receive()).get("more_body"):
        pass
    body = b"left" if message["type"] == "http.disconnect" else b"read"
    length = (b"content-length", b"4")
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def run(
    folder: Path,
    app: ASGIApp,
    talk: Callable[[socket.socket, asyncio.Task[None]], Awaitable[None]],
    request: bytes,
    *,
    limit_s: float = 60,
    idle_s: float = 0.0,
) -> float:
    """Send a request, let the server stop, then talk; return how long the stop took."""

    async def scenario() -> float:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
            address = str(folder / "s")
            listening.bind(address)
            listener = Listener(app, [listening], keep_alive_s=5)
            await listener.start()
            client.connect(address)
            client.settimeout(0)
            client.sendall(request)
            await asyncio.sleep(0.1)
            began = time.monotonic()
            listener.stop_accepting()
            stopping = asyncio.create_task(listener.drain(began + limit_s, idle_s=idle_s))
            await asyncio.sleep(0.3)
            async with asyncio.timeout(120):
                await talk(client, stopping)
                await stopping
            return time.monotonic() - began

    return asyncio.run(scenario())


async def read_all(client: socket.socket) -> bytes:
    data = b""
    while part := await asyncio.get_running_loop().sock_recv(client, 65536):
        data += part
    return data


def test_an_answer_that_is_still_to_be_sent_is_sent(tmp_path: Path) -> None:
    async def talk(client: socket.socket, stopping: asyncio.Task[None]) -> None:
        assert not stopping.done()
        assert (await read_all(client)).endswith(BODY)

    run(tmp_path, big, talk, GET)


def test_a_client_that_still_sends_gets_its_answer(tmp_path: Path) -> None:
    async def talk(client: socket.socket, stopping: asyncio.Task[None]) -> None:
        assert not stopping.done()
        client.sendall(b"x" * 1000)
        assert (await read_all(client)).endswith(b"no")
        client.close()

    announced = b"POST / HTTP/1.1\r\nHost: todo\r\nContent-Length: 5000000\r\n\r\n"
    assert run(tmp_path, refuse, talk, announced + b"x" * 1000) < 30


@pytest.mark.parametrize(
    "field", [b"", b"Connection: close\r\n", b"Expect: 100-continue\r\n"], ids=bytes.decode
)
def test_a_body_without_progress_is_not_waited_for(tmp_path: Path, field: bytes) -> None:
    async def talk(client: socket.socket, stopping: asyncio.Task[None]) -> None:
        assert not stopping.done()
        assert (await read_all(client)).endswith(b"left")
        client.close()

    head = b"POST / HTTP/1.1\r\nHost: todo\r\nContent-Length: 10\r\n" + field
    assert run(tmp_path, read_body, talk, head + b"\r\nx", limit_s=600) < 120


def test_a_body_without_progress_in_chunks_is_not_waited_for(tmp_path: Path) -> None:
    async def talk(client: socket.socket, stopping: asyncio.Task[None]) -> None:
        assert not stopping.done()
        assert (await read_all(client)).endswith(b"left")
        client.close()

    # The start of a chunk that looks like the end of the body.
    chunks = b"Transfer-Encoding: chunked\r\n\r\n9\r\n\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: todo\r\n"
    assert run(tmp_path, read_body, talk, head + chunks, limit_s=600) < 120


def test_a_client_that_reads_nothing_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    async def talk(_client: socket.socket, stopping: asyncio.Task[None]) -> None:
        await stopping

    assert run(tmp_path, big, talk, GET, limit_s=1) >= 1


@pytest.mark.parametrize("count", [1, 40])
def test_a_client_that_reads_nothing_for_seconds_is_not_waited_for(
    tmp_path: Path, count: int
) -> None:
    async def talk(_client: socket.socket, stopping: asyncio.Task[None]) -> None:
        await stopping

    assert run(tmp_path, big, talk, GET * count, limit_s=600) < 45


def test_a_client_that_reads_slowly_gets_all(tmp_path: Path) -> None:
    async def talk(client: socket.socket, _stopping: asyncio.Task[None]) -> None:
        data = b""
        while part := await asyncio.get_running_loop().sock_recv(client, 30_000):
            data += part
            await asyncio.sleep(0.4)
        assert data.endswith(BODY)

    assert run(tmp_path, big, talk, GET, limit_s=600) >= 2


def test_a_body_without_progress_on_a_reused_connection_is_not_waited_for(tmp_path: Path) -> None:
    async def talk(client: socket.socket, stopping: asyncio.Task[None]) -> None:
        assert not stopping.done()
        answers = await read_all(client)
        assert answers.count(b"HTTP/1.1 200") == 2
        assert answers.endswith(b"left")
        client.close()

    head = b"POST / HTTP/1.1\r\nHost: todo\r\nContent-Length: 10\r\n\r\n"
    assert run(tmp_path, read_body, talk, GET + head + b"x", limit_s=600) < 120


@pytest.mark.parametrize(("idle_s", "is_answered"), [(0.0, False), (600.0, True)])
def test_a_connection_that_was_just_used_may_be_used_once_more(
    tmp_path: Path,
    idle_s: float,
    is_answered: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def talk(client: socket.socket, stopping: asyncio.Task[None]) -> None:
        if is_answered:
            assert not stopping.done()
        else:
            await stopping
        with contextlib.suppress(BrokenPipeError):
            client.sendall(LAST)
        answers = await read_all(client)
        assert answers.count(b"HTTP/1.1 200") == 1 + is_answered

    assert run(tmp_path, answer, talk, GET, idle_s=idle_s) < 120
