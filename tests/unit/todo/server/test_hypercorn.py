import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Ping, Request
from wsproto.extensions import PerMessageDeflate

from todo.server import hypercorn_protocol
from todo.server.listener import Listener


async def accept_and_wait(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


class Client:
    """A WebSocket client that offers compression."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []

    def send(self, event: Event) -> None:
        self.writer.write(self._connection.send(event))

    async def read(self) -> Event:
        while not self._events:
            async with asyncio.timeout(120):
                data = await self._reader.read(65536)
            self._connection.receive_data(data or None)
            self._events += self._connection.events()
        return self._events.pop(0)

    async def read_rest(self) -> bytes:
        """Read the end of the connection."""
        async with asyncio.timeout(120):
            return await self._reader.read()


async def talk(folder: Path, seen: list[Any]) -> None:
    address = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listener = Listener(accept_and_wait, [listening], keep_alive_s=5)
        await listener.start()
        reader, writer = await asyncio.open_unix_connection(address)
        client = Client(reader, writer)
        client.send(Request(host="h", target="/ws/x", extensions=[PerMessageDeflate()]))
        seen += [await client.read(), await client.read(), await client.read()]
        client.send(CloseConnection(code=1000))
        seen.append(await client.read())
        await listener.drain(time.monotonic() + 2)
        writer.close()
        await writer.wait_closed()
    seen += [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def test_a_websocket_is_pinged_uncompressed_and_leaves_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hypercorn_protocol, "_PING_S", 0.02)
    seen: list[Any] = []

    asyncio.run(talk(tmp_path, seen))

    accepted, first, second, closed, *left = seen
    assert isinstance(accepted, AcceptConnection)
    assert accepted.extensions == []
    assert isinstance(first, Ping)
    assert isinstance(second, Ping)
    assert isinstance(closed, Ping | CloseConnection)
    assert left == []
