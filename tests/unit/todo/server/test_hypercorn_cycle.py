"""Requests that Hypercorn answers, each on a connection that comes back."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from todo.server.h11_request import SingleRequestConnection
from todo.server.http1_parser import Request, ServedBy
from todo.server.hypercorn import HypercornCycle
from todo.server.listener import Listener
from todo.server.read_pacing import ReadPacer

CHUNKED = b"POST / HTTP/1.1\r\nHost: todo\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTING = b"POST / HTTP/1.1\r\nHost: todo\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: todo\r\n\r\n"
OK = b"HTTP/1.1 200 \r\n"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer(send: Send, body: bytes) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes | None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        more = message["more_body"]
    return body


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    await answer(send, b"left" if body is None else b"<%b>" % body)


async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, b"no")


def run(folder: Path, app: ASGIApp, talk: Talk) -> None:
    """Let a client talk to an application; afterwards nothing of either may be left."""

    async def scenario() -> None:
        address = str(folder / "s")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
            listener = Listener(app, [listening], keep_alive_s=5)
            await listener.start()
            reader, writer = await asyncio.open_unix_connection(address)
            async with asyncio.timeout(120):
                await talk(reader, writer)
            writer.close()
            await writer.wait_closed()
            began = time.monotonic()
            await listener.drain(began + 60)
            assert time.monotonic() - began < 30
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(scenario())


def exchange(folder: Path, app: ASGIApp, *parts: bytes, ends: bool = True) -> bytes:
    """Send parts, with a pause between, and return all that comes until the end."""
    answers = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01)
        if ends:
            writer.write_eof()
        answers.append(await reader.read())

    run(folder, app, talk)
    return answers[0]


def contents(answers: bytes) -> list[bytes]:
    """The bodies of responses with status 200, none of which has an empty line."""
    assert answers.startswith(OK), answers
    return [part.partition(b"\r\n\r\n")[2] for part in answers.split(OK)[1:]]


def test_chunks_are_one_body_and_the_connection_comes_back(tmp_path: Path) -> None:
    sent = (
        CHUNKED + b"3;x\r\nabc\r\n",
        b"2\r\nde\r\n0\r\nX: y\r\n\r\n" + GET + CHUNKED,
        b"0\r\n\r\n",
    )
    assert contents(exchange(tmp_path, echo, *sent)) == [b"<abcde>", b"<>", b"<>"]


def test_chunks_may_come_byte_by_byte(tmp_path: Path) -> None:
    data = CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + GET
    answers: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        answers.append(await reader.read())

    run(tmp_path, echo, talk)
    assert contents(answers[0]) == [b"<abc>", b"<>"]


def test_a_large_body_in_small_chunks_is_read(tmp_path: Path) -> None:
    body = CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
    assert contents(exchange(tmp_path, echo, body)) == [b"<" + b"x" * 50_000 + b">"]


def test_a_body_that_nobody_reads_ends_the_connection(tmp_path: Path) -> None:
    many = CHUNKED + b"1\r\nx\r\n" * 50_000
    assert contents(exchange(tmp_path, refuse, many, ends=False)) == [b"no"]


def test_a_whole_body_that_nobody_reads_is_skipped(tmp_path: Path) -> None:
    sent = CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + GET
    assert contents(exchange(tmp_path, refuse, sent)) == [b"no", b"no"]


@pytest.mark.parametrize("rest", [b"", b"\r\n", b"\r\n1\r\nx" * 9000 + b"\r\n0\r\n\r\n" + GET])
def test_an_answer_to_a_body_that_nobody_reads_announces_the_end(
    tmp_path: Path, rest: bytes
) -> None:
    answer = exchange(tmp_path, refuse, CHUNKED + b"1\r\nx" + rest, ends=False)
    assert contents(answer) == [b"no"]
    assert answer.lower().count(b"connection: close") == 1


def test_what_comes_while_an_answered_application_runs_on_is_kept(tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)
        if scope["headers"][-1][0] == b"transfer-encoding":
            await asyncio.sleep(0.3)

    post = b"POST / HTTP/1.1\r\nHost: todo\r\nContent-Length: 3\r\n\r\nabc"
    sent = (CHUNKED + b"0\r\n\r\n" + post[:10], post[10:30], post[30:])
    assert contents(exchange(tmp_path, app, *sent)) == [b"<>", b"<abc>"]


@pytest.mark.parametrize(
    "bad",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"3\r\nabcd\r\n",
        b"1" * 20_000,
        b"0\r\n\n",
        b"0\n\r\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\nX: y\n\n",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0;a\rb\r\n\r\n",
        b"0;\r\n\r\n",
        b"0\t\r\n\r\n",
        b"2 \r\nab\r\n0\r\n\r\n",
        b"00000000000000000\r\n\r\n",
    ],
)
def test_an_invalid_chunk_is_the_end_of_the_request(tmp_path: Path, bad: bytes) -> None:
    answer = exchange(tmp_path, echo, CHUNKED + bad, ends=False)
    assert contents(answer) == [b"left"]
    assert answer.lower().count(b"connection: close") == 1


def test_a_client_that_ends_in_the_body_is_answered(tmp_path: Path) -> None:
    assert contents(exchange(tmp_path, echo, CHUNKED + b"3\r\na")) == [b"left"]


def test_a_client_that_is_gone_ends_the_request(tmp_path: Path) -> None:
    seen = []
    ended = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        seen.append(await read_body(receive))
        ended.set()

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"3\r\na")
        await asyncio.sleep(0.01)
        writer.transport.abort()
        await ended.wait()

    run(tmp_path, app, talk)
    assert seen == [None]


@pytest.mark.parametrize("behind", [b"", b"\r\n", GET])
def test_a_stream_ends_only_when_its_client_does(tmp_path: Path, behind: bytes) -> None:
    async def stream(_scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        leaving = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await asyncio.sleep(0.01)
            assert not leaving.done()
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (await leaving)["type"] == "http.disconnect"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET[:-2] + b"Connection: close\r\n\r\n" + behind)
        for _ in range(3):
            await reader.readuntil(b"1\r\nx\r\n")

    run(tmp_path, stream, talk)


def test_a_body_is_asked_for_when_it_is_wanted(tmp_path: Path) -> None:
    asked = b"HTTP/1.1 100 \r\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(EXPECTING)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(asked)
        writer.write(b"abc" + GET)
        assert (await reader.readuntil(b"<abc>")).startswith(OK)
        await reader.readuntil(b"<>")

    run(tmp_path, echo, talk)


def test_a_body_is_not_asked_for_when_it_is_not_wanted(tmp_path: Path) -> None:
    answer = exchange(tmp_path, refuse, EXPECTING, GET, ends=False)
    assert contents(answer) == [b"no"]
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "request_",
    [
        GET[:-2] + b"Connection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("more", [b"", b"\r\n", GET])
def test_the_last_request_is_answered_once(tmp_path: Path, request_: bytes, more: bytes) -> None:
    assert contents(exchange(tmp_path, echo, request_ + more, ends=False)) == [b"<>"]


def test_an_application_that_fails_is_answered_500(tmp_path: Path) -> None:
    async def fail(_scope: Scope, receive: Receive, _send: Send) -> None:
        await read_body(receive)
        raise LookupError("deliberate")

    sent = CHUNKED + b"0\r\n\r\n"
    assert exchange(tmp_path, fail, sent, ends=False).startswith(b"HTTP/1.1 500 ")


def test_a_client_that_only_listens_any_more_is_not_reported_as_gone(tmp_path: Path) -> None:
    told = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        leaving = asyncio.ensure_future(receive())
        await asyncio.sleep(0.1)
        told.append(leaving.done())
        await answer(send, b"all")
        leaving.cancel()

    assert contents(exchange(tmp_path, app, CHUNKED + b"0\r\n\r\n")) == [b"all"]
    assert told == [False]


@pytest.mark.parametrize("ends_first", [True, False])
def test_a_stream_ends_when_its_client_only_listens_any_more(
    tmp_path: Path, *, ends_first: bool
) -> None:
    async def stream(_scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        if ends_first:
            await asyncio.sleep(0.1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    sent = GET[:-2] + b"Connection: close\r\n\r\n"
    assert exchange(tmp_path, stream, sent).endswith(b"1\r\nx\r\n")


def test_an_application_that_gives_up_waiting_gets_no_more(tmp_path: Path) -> None:
    taken = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        await asyncio.sleep(0.1)
        taken.append(served[0].unread_bytes)
        await answer(send, b"")

    body = b"1\r\nx\r\n"
    served: list[HypercornCycle] = []
    opened = Listener.open_hypercorn_cycle

    def open_hypercorn_cycle(listener: Listener, *arguments: Any) -> HypercornCycle:  # noqa: ANN401
        served.append(opened(listener, *arguments))
        return served[0]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await asyncio.sleep(0.05)
        writer.write(body)
        await reader.readuntil(b"\r\n\r\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Listener, "open_hypercorn_cycle", open_hypercorn_cycle)
        run(tmp_path, app, talk)
    assert taken == [len(body)]


def test_bodies_that_nobody_reads_are_skipped_one_in_each_turn_of_the_loop(tmp_path: Path) -> None:
    turn = 0
    skipped = []
    skip = SingleRequestConnection.skip  # what costs the time

    def note(connection: Any, data: bytes) -> bool:  # noqa: ANN401
        if data:
            skipped.append(turn)
        return skip(connection, data)

    async def scenario() -> None:
        nonlocal turn
        address = str(tmp_path / "s")
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(address)
            listening.listen(100)
            for _ in range(10):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(address)
                client.sendall(CHUNKED + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
            listener = Listener(refuse, [listening], keep_alive_s=5)
            await listener.start()
            async with asyncio.timeout(120):
                while len(skipped) < 20:
                    turn += 1
                    await asyncio.sleep(0)
            await listener.drain(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SingleRequestConnection, "skip", note)
        asyncio.run(scenario())
    assert len(set(skipped)) == len(skipped)


def test_small_pieces_that_wait_are_joined() -> None:
    async def scenario() -> None:
        request = Request("GET", b"/", [], 0, 0, ServedBy.HYPERCORN)
        served = HypercornCycle(refuse, ReadPacer(), cast("Any", None), request, b"")
        for _ in range(10_000):
            served.feed(b"xy")
        pieces = list(served._pieces)  # noqa: SLF001 - what takes the memory
        assert b"".join(pieces) == b"xy" * 10_000
        assert len(pieces) < 20
        assert served.unread_bytes == 20_000

    asyncio.run(scenario())
