"""The load client of the fault suite, judged by a service that fails in known ways."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT = Path(__file__).parents[1] / "faults" / "load.py"
OK = "HTTP/1.1 200 OK"
DEFERRED = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SECONDS = 1.5


class Service:
    """A service with tasks in memory, as much of it as the client uses.

    Args:
        spoil: Returns, for the number of a POST, `forget`, `double`, `defer`, `fail` or `close`;
            anything else is right.
    """

    def __init__(self, spoil: Callable[[int], str]) -> None:
        self._spoil = spoil
        self._titles: list[str] = []
        self._posts = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of a connection."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        try:
            await task
        finally:
            self._serving.discard(task)
            writer.close()

    async def stop(self) -> None:
        """End every connection."""
        for task in self._serving:
            task.cancel()
        await asyncio.sleep(0.1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*ended):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                method, path, _ = lines[0].split()
                if path == "/api/v1/events":
                    await self._stream(writer)
                answer = self._create(body) if method == "POST" else self._list()
                writer.write(answer)
                if not answer:
                    break

    def _create(self, body: bytes) -> bytes:
        self._posts += 1
        kind = self._spoil(self._posts)
        title = json.loads(body)["title"]
        if kind == "close":
            return b""
        if kind == "defer":
            return _render(DEFERRED, {})
        if kind == "fail":
            return _render("HTTP/1.1 500 Internal Server Error", {})
        known = title in self._titles
        if kind != "forget" and not known:
            self._titles += [title] * (2 if kind == "double" else 1)
        return _render("HTTP/1.1 201 Created", {})

    def _list(self) -> bytes:
        items = [{"title": title} for title in self._titles]
        return _render(OK, {"items": items, "next_cursor": None})

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM)
        sent = 0
        while True:
            for title in self._titles[sent:]:
                sent += 1
                data = json.dumps({"after": {"title": title}})
                event = f"id: {sent}\nevent: create\ndata: {data}\n\n"
                writer.write(f"{len(event):x}\r\n{event}\r\n".encode())
            await writer.drain()
            await asyncio.sleep(0.05)


def _render(first: str, document: object) -> bytes:
    body = json.dumps(document)
    return f"{first}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def run(tmp_path: Path, spoil: Callable[[int], str]) -> dict[str, Any]:
    """The client's report on such a service."""
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps({"writer": ["w"], "readers": ["r"]}))

    async def load() -> bytes:
        service = Service(spoil)
        server = await asyncio.start_server(service.accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        options = (f"--port={port}", f"--tokens={tokens}", "--name=t", "--rate=100", "--streams=1")
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CLIENT), *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert client.stdin is not None
        assert client.stdout is not None
        assert await client.stdout.readline() == b"started\n"
        await asyncio.sleep(SECONDS)
        client.stdin.write(b"end\n")
        printed = await client.stdout.read()
        await client.wait()
        await service.stop()
        server.close()
        await server.wait_closed()
        return printed

    report: dict[str, Any] = json.loads(asyncio.run(load()))
    return report


def test_a_sound_service_loses_nothing(tmp_path: Path) -> None:
    report = run(tmp_path, lambda _: "")
    assert report["acknowledged"] >= 3
    assert report["sent"] > 10 * report["acknowledged"] / 2
    for name in ("lost", "deferred", "unanswered"):
        assert report[name] == 0, report
    for name in ("missing", "doubled", "losses"):
        assert report[name] == [], report
    assert (report["unseen"], report["seen_twice"]) == ([0], [0])


def test_a_write_that_is_acknowledged_and_not_there_is_missing(tmp_path: Path) -> None:
    report = run(tmp_path, lambda number: "forget" if number == 2 else "")
    assert report["missing"] == ["t-1"]


def test_a_write_that_is_there_twice_is_doubled(tmp_path: Path) -> None:
    report = run(tmp_path, lambda number: "double" if number == 3 else "")
    assert report["doubled"] == ["t-2"]
    assert report["seen_twice"] == [1]


@pytest.mark.parametrize(
    ("spoil", "deferred", "lost"), [("defer", 1, 0), ("fail", 0, 1), ("close", 0, 1)]
)
def test_a_write_that_is_not_acknowledged_is_repeated_until_it_is(
    tmp_path: Path, spoil: str, deferred: int, lost: int
) -> None:
    report = run(tmp_path, lambda number: spoil if number == 1 else "")
    assert (report["deferred"], report["lost"]) == (deferred, lost), report
    assert report["unanswered"] == 0
    assert (report["missing"], report["doubled"]) == ([], [])
