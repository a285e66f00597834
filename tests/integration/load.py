"""A steady load of requests, one on each connection, that counts what is lost."""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass, field

HEALTH = b"GET /health HTTP/1.1\r\nHost: todo\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_RATE_S = 1 / 200
# A request that waits for so long waits for ever.
_TIMEOUT_S = 600


@dataclass
class Tally:
    """Outcomes of the requests."""

    answered: int = 0
    longest_s: float = 0.0
    failures: list[str] = field(default_factory=list)


async def ask_once(port: int, tally: Tally, request: bytes, pause_s: float) -> None:
    """Send one request on one connection, its bytes `pause_s` after connecting."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await _ask(port, request, pause_s)
    except (OSError, EOFError) as error:
        tally.failures.append(f"after {time.monotonic() - began:.3f} s: {error!r}")
    else:
        tally.answered += 1
        tally.longest_s = max(tally.longest_s, time.monotonic() - began)


async def _ask(port: int, request: bytes, pause_s: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        await asyncio.sleep(pause_s)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        (length,) = _LENGTH.findall(head)
        await reader.readexactly(int(length))


async def ask_until(stop: asyncio.Event, port: int, tally: Tally, request: bytes = HEALTH) -> None:
    """Send requests at a steady rate, whatever becomes of them; then wait for all answers."""
    number = 0
    async with asyncio.TaskGroup() as tasks:
        while not stop.is_set():
            number += 1
            # Every fifth client keeps its request back for a while.
            pause_s = 0.3 if number % 5 == 0 else 0.0
            tasks.create_task(ask_once(port, tally, request, pause_s))
            await asyncio.sleep(_RATE_S)


async def answer_more(number: int, tally: Tally) -> None:
    """Wait until so many more requests have been answered."""
    due = tally.answered + number
    while tally.answered < due:
        assert not tally.failures
        await asyncio.sleep(0.01)
