"""Port forwarding from the loopback of the host to the loopback of the lab.

It runs in the lab's network namespace and inherits sockets that listen in the host's namespace: a
socket stays in the namespace in which it was created.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

_CHUNK = 256 * 1024
_BACKLOG = 1024


async def forward(listening: socket.socket, port: int) -> None:
    """Accept connections forever and forward them to a port on this namespace's loopback."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # No timeout is needed: a port without a listener refuses the connection immediately,
            # and a full backlog makes the client wait, as without a lab.
            inner_reader, inner_writer = await asyncio.open_connection(
                "127.0.0.1", port, limit=_CHUNK
            )
        except OSError:
            # Without a listener in the lab, the client gets a reset.
            writer.transport.abort()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        for end in (inner_writer, writer):
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()

    server = await asyncio.start_server(carry, sock=listening, limit=_CHUNK, backlog=_BACKLOG)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction until end of file, then half-close the other side."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        # The connection is broken; the other side must not wait.
        writer.transport.abort()


async def _main(pairs: list[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for pair in pairs:
            descriptor, port = pair.split(":")
            group.create_task(forward(socket.socket(fileno=int(descriptor)), int(port)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
