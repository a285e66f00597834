"""Writes wait for a client that is behind."""

import asyncio
from pathlib import Path

from starlette.types import Receive, Scope, Send

from tests.unit.todo.server.test_hypercorn_cycle import GET, run

PART = b"x" * 1_000_000


def test_a_write_that_is_given_up_does_not_end_the_next_one(tmp_path: Path) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        length = (b"content-length", b"%d" % (2 * len(PART)))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        try:
            async with asyncio.timeout(0.1):
                await send({"type": "http.response.body", "body": PART, "more_body": True})
        except TimeoutError:
            given_up.set()
        await send({"type": "http.response.body", "body": PART})
        finished.append(True)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a Unix socket's transport reads
        writer.write(GET)
        await given_up.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2 * len(PART)) == 2 * PART

    given_up = asyncio.Event()
    finished: list[bool] = []
    run(tmp_path, app, talk)
    assert finished == [True]
