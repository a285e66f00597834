"""Attacks on the connections of a service, bounded in size and time."""

import asyncio
import contextlib
import fcntl
import itertools
import os
import re
import socket
import sys
import termios
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.integration.service import Service

SCALE = int(os.environ.get("ATTACK_SCALE", "1"))
"""How much larger than in a usual run; 10 is what an attacker with one machine does."""
_GET = b"GET /livez HTTP/1.1\r\nHost: todo\r\nConnection: close\r\n\r\n"
_TIMEOUT_S = 300


def ask(service: Service, name: str = "public.sock") -> bytes:
    """Return what is answered to an honest request on a new connection."""
    with connect(service, name) as client:
        client.sendall(_GET)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return answer


def connect(service: Service, name: str = "public.sock") -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(_TIMEOUT_S)
    client.connect(str(service.folder / name))
    return client


@contextlib.contextmanager
def open_silently(service: Service, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that send nothing, for the length of the block."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(service)) for _ in range(count)]


def send_slow_bodies(service: Service, token: str, count: int, *, keep: int) -> list[bytes]:
    """Send bodies of 1 MiB without their last byte.

    Args:
        service: Attacked.
        token: Of the sender, or "" for none.
        count: How many are sent at a time.
        keep: For how many of them no answer is waited for.

    Returns:
        The first line of each response that came, b"" where the connection closed without.
    """
    size = 1024 * 1024
    fields = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST /api/v1/tasks/batch HTTP/1.1\r\nHost: todo\r\n{fields}Content-Length: {size}\r\n\r\n"
    )
    body = b" " * (size - 1)

    async def send() -> bytes:
        reader, writer = await asyncio.open_unix_connection(service.folder / "public.sock")
        try:
            writer.write(head.encode() + body)
            # Refused in the middle of the body; a client that is slow may lose the answer.
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            with contextlib.suppress(ConnectionError):
                return await reader.readline()
        finally:
            # Without what could not be sent.
            writer.transport.abort()
        return b""

    async def send_all() -> list[bytes]:
        pending = {asyncio.create_task(send()) for _ in range(count)}
        answers = []
        while len(pending) > keep:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            answers += [task.result() for task in done]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        # Aborted transports close their sockets in the next turn.
        await asyncio.sleep(0)
        return answers

    return asyncio.run(send_all())


def send_byte_by_byte(service: Service, size: int) -> None:
    """Send a head byte by byte, each when the one before has been read; its end never comes."""
    head = b"GET /livez HTTP/1.1\r\nHost: todo\r\nX: " + b"x" * size
    with connect(service) as client:
        for position in range(len(head)):
            client.sendall(head[position : position + 1])
            while _count_unread(client):
                time.sleep(0)


def _count_unread(client: socket.socket) -> int:
    """Return how many bytes the service has not read yet."""
    count = fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(count, sys.byteorder)


def shake_in_vain(clients: Iterable[socket.socket]) -> None:
    """Ask for WebSockets in a way that is refused."""
    key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    version = b"Sec-WebSocket-Version: 13\r\n"
    handshakes = itertools.cycle(
        (
            version + b"\r\n",
            key + b"Sec-WebSocket-Version: 8\r\n\r\n",
            key + version + b"Content-Length: 1\r\n\r\nx",
        )
    )
    for client, rest in zip(clients, handshakes, strict=False):
        client.sendall(
            b"GET /ws/tasks/x HTTP/1.1\r\nHost: todo\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\n" + rest
        )
        assert re.match(rb"HTTP/1\.1 4\d\d ", client.recv(65536))


def read_cpu_s(service: Service) -> float:
    """Return the processor time that a service has taken."""
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
