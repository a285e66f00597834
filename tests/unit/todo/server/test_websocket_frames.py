import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from wsproto.events import CloseConnection, Ping, Pong, Request, TextMessage

from tests.unit.todo.server.test_hypercorn import Client, accept_and_wait
from todo.server.listener import Listener
from todo.server.websocket_frames import (
    FRAMES_PER_S,
    MAX_FRAMES_AT_ONCE,
    FrameBudget,
    TooManyFramesError,
)


def test_a_budget_of_frames_refills_evenly() -> None:
    now = 0.0
    budget = FrameBudget(lambda: now)

    def count() -> int:
        taken = 0
        try:
            while True:
                budget.take()
                taken += 1
        except TooManyFramesError:
            return taken

    assert count() == MAX_FRAMES_AT_ONCE
    now = 3.0
    assert FRAMES_PER_S * 3 - 2 <= count() <= FRAMES_PER_S * 3
    now = 1e6
    assert count() == MAX_FRAMES_AT_ONCE


def run(folder: Path, app: ASGIApp, talk: Callable[[Client], Awaitable[None]]) -> list[object]:
    """Talk to an application; return the tasks that are left when the listener has drained."""

    async def whole() -> list[object]:
        address = str(folder / "s")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
            listener = Listener(app, [listening], keep_alive_s=5)
            await listener.start()
            reader, writer = await asyncio.open_unix_connection(address)
            client = Client(reader, writer)
            client.send(Request(host="h", target="/ws/x"))
            await client.read()
            await talk(client)
            writer.close()
            await writer.wait_closed()
            await listener.drain(time.monotonic() + 30)
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    return list(asyncio.run(whole()))


@pytest.mark.parametrize(
    "frame",
    [Ping(), Pong(), TextMessage(data="", message_finished=False)],
    ids=lambda event: type(event).__name__,
)
def test_too_many_frames_end_the_connection(
    tmp_path: Path, frame: Ping | Pong | TextMessage
) -> None:
    async def talk(client: Client) -> None:
        # So many that a slow machine, which refills the budget meanwhile, finds them too many.
        for _ in range(10 * MAX_FRAMES_AT_ONCE):
            client.send(frame)
        while not isinstance(event := await client.read(), CloseConnection):
            pass
        assert (event.code, event.reason) == (1008, "too many frames")

    assert run(tmp_path, accept_and_wait, talk) == []


def text(payload: bytes, *, is_last: bool = True) -> bytes:
    """A frame of a client, with a mask of zeros."""
    head = bytes([0x81 if is_last else 0x01, 0xFE]) + len(payload).to_bytes(2, "big")
    return head + bytes(4) + payload


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (text(b"x" * 20_000), 1009),
        (text(b"x" * 10_000, is_last=False) + b"\x80" + text(b"x" * 10_000)[1:], 1009),
        (text(b"x\xff" * 70), 1007),
        (b"\x83\x80\0\0\0\0", 1002),
    ],
    ids=["large", "large in two frames", "not UTF-8", "an unknown kind"],
)
def test_an_invalid_message_ends_the_connection_although_its_client_does_not(
    tmp_path: Path, frames: bytes, code: int
) -> None:
    async def talk(client: Client) -> None:
        client.writer.write(frames)
        event = await client.read()
        assert isinstance(event, CloseConnection)
        assert event.code == code
        # Its client does not answer the close frame.
        assert await client.read_rest() == b""

    assert run(tmp_path, accept_and_wait, talk) == []


def test_messages_up_to_the_limit_do_not_add_up(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        for _ in range(3):
            client.writer.write(text(b"x" * 10_000))
        client.send(Ping())
        assert isinstance(await client.read(), Pong)

    assert run(tmp_path, accept_and_wait, talk) == []


def test_messages_for_an_application_that_has_ended_keep_no_connection(tmp_path: Path) -> None:
    async def end(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.1)
        await send({"type": "websocket.close", "code": 1000})

    async def talk(client: Client) -> None:
        for _ in range(50):
            client.send(TextMessage(data="x"))
        while not isinstance(await client.read(), CloseConnection):
            pass

    began = time.monotonic()
    assert run(tmp_path, end, talk) == []
    assert time.monotonic() - began < 20
