"""Number of accepted connections."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from todo.db.pool_admission import AccountGate
from todo.server import listener
from todo.server.listener import Listener

GET = b"GET / HTTP/1.1\r\nHost: todo\r\n\r\n"
ANSWER = b"HTTP/1.1 200 \r\n"

Connect = Callable[[bytes], socket.socket]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_UNANSWERED", 2)
    monkeypatch.setattr(listener, "_YOUNG_S", 3600)


@contextlib.asynccontextmanager
async def listen(
    folder: Path,
    app: ASGIApp,
    request: bytes = GET,
    waiting: int = 0,
    max_connections: int = 1000,
) -> AsyncIterator[Connect]:
    """Serve an application, with clients whose connections and requests wait already."""
    address = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.ExitStack() as stack:
        listening.bind(address)
        listening.listen(100)

        def connect(sent: bytes) -> socket.socket:
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(address)
            client.sendall(sent)
            client.settimeout(0)
            return client

        for _ in range(waiting):
            connect(request)
        # A client that is kept out stays out.
        keep_alive_s = 3600
        opened = Listener(
            app, [listening], max_connections=max_connections, keep_alive_s=keep_alive_s
        )
        await opened.start()
        async with asyncio.timeout(120):
            yield connect
        await opened.drain(0)


async def read(client: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(client, len(ANSWER))


async def fine(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"G",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\nx",
    ],
)
def test_connections_without_a_whole_request_keep_nobody_out(tmp_path: Path, part: bytes) -> None:
    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            while (await receive())["type"] != "http.disconnect":
                pass
        await fine(scope, receive, send)

    async def scenario() -> None:
        async with listen(tmp_path, patient) as connect:
            for _ in range(6):
                connect(part)
            assert await read(connect(GET)) == ANSWER

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "request_",
    [
        GET,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
    ],
)
def test_a_burst_of_requests_waits_in_the_kernel(tmp_path: Path, request_: bytes) -> None:
    async def scenario() -> None:
        running: list[Scope] = []
        go = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            running.append(scope)
            await go.wait()
            await fine(scope, receive, send)

        async with listen(tmp_path, slow, request_, waiting=10) as connect:
            await asyncio.sleep(0.2)
            assert len(running) == 2
            go.set()
            assert await read(connect(GET)) == ANSWER
            assert len(running) == 11

    asyncio.run(scenario())


@pytest.mark.parametrize("request_", [GET, GET[:-2] + b"Connection: close\r\n\r\n"])
def test_open_streams_keep_nobody_out(tmp_path: Path, request_: bytes) -> None:
    async def stream(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await receive()

    async def scenario() -> None:
        async with listen(tmp_path, stream) as connect:
            for _ in range(6):
                assert await read(connect(request_)) == ANSWER

    asyncio.run(scenario())


def test_requests_that_wait_for_their_account_keep_nobody_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        gate = AccountGate(1, max_waiting=10, timeout_s=3600)
        go = asyncio.Event()

        async def write(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] == "/locked":
                admission = await gate.admit(["alice"])
                await go.wait()
                admission.leave()
            await fine(scope, receive, send)

        async with listen(tmp_path, write) as connect:
            locked = [connect(GET.replace(b"/", b"/locked", 1)) for _ in range(6)]
            assert await read(connect(GET)) == ANSWER
            go.set()
            assert [await read(each) for each in locked] == [ANSWER] * 6

    asyncio.run(scenario())


async def ask(client: socket.socket) -> bytes:
    """Send a request on a connection in use; return the start of its answer."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(BlockingIOError):
        client.recv(1000)
    await loop.sock_sendall(client, GET)
    return await read(client)


@pytest.mark.parametrize("used", ["again", "part of a head"])
def test_the_longest_idle_connection_makes_room_whichever_came_first(
    tmp_path: Path, used: str
) -> None:
    async def scenario() -> None:
        async with listen(tmp_path, fine, max_connections=2) as connect:
            first, second = connect(GET), connect(GET)
            assert [await read(each) for each in (first, second)] == [ANSWER, ANSWER]
            await asyncio.sleep(0.05)
            if used == "again":
                assert await ask(first) == ANSWER
            else:
                first.sendall(GET[:10])
                await asyncio.sleep(0.05)
                assert await ask(second) == ANSWER
                await asyncio.sleep(0.05)
            assert await read(connect(GET)) == ANSWER
            rest = asyncio.get_running_loop().sock_recv
            assert [await rest(second, 1000), await rest(second, 1000)][-1] == b""

    asyncio.run(scenario())


def test_idle_connections_make_room_the_oldest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listen(tmp_path, fine, max_connections=3) as connect:
            clients = [connect(GET) for _ in range(3)]
            for client in clients:
                assert await read(client) == ANSWER
            assert await read(connect(GET)) == ANSWER
            rest = asyncio.get_running_loop().sock_recv
            assert [await rest(clients[0], 100), await rest(clients[0], 100)][-1] == b""
            clients[1].sendall(GET)
            await rest(clients[1], 100)
            assert await read(clients[1]) == ANSWER

    asyncio.run(scenario())


def test_a_connection_that_is_slow_to_close_does_not_keep_others_out(tmp_path: Path) -> None:
    async def big(scope: Scope, _receive: Receive, send: Send) -> None:
        # What fits neither the kernel's buffer nor keeps the application waiting.
        body = b"x" * 240_000 if scope["path"] == "/big" else b""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def scenario() -> None:
        async with listen(tmp_path, big, max_connections=2) as connect:
            stuck = connect(b"GET /big HTTP/1.1\r\nHost: todo\r\n\r\n")
            await asyncio.get_running_loop().sock_recv(stuck, 1)
            assert await read(connect(GET)) == ANSWER
            assert await read(connect(GET)) == ANSWER

    asyncio.run(scenario())


def test_connections_in_use_are_not_closed_for_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await fine(scope, receive, send)

        async with listen(tmp_path, slow, max_connections=1) as connect:
            first, second = connect(GET), connect(GET)
            await asyncio.sleep(0.1)
            go.set()
            assert await read(first) == ANSWER
            assert await read(second) == ANSWER

    asyncio.run(scenario())
