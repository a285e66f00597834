"""A load generator that needs only the standard library: a steady rate, every outcome counted.

Prints one JSON object. Two modes: `fresh` opens one connection a request at a fixed rate;
`keepalive` has a number of clients that reuse theirs and pause between requests. What counts as
a loss is a request that was sent (or a connection that was tried) and got no whole answer; a
kept connection that the server closed while it was idle is counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import dataclasses
import datetime as dt
import json
import sys
import time

_TIMEOUT_S = 30.0
_MAX_LOSSES = 100


@dataclasses.dataclass
class Outcomes:
    """What became of the requests; latencies in seconds, losses with the time of day."""

    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    latencies: list[float] = dataclasses.field(default_factory=list)
    losses: list[tuple[str, str, float]] = dataclasses.field(default_factory=list)

    def record(self, outcome: str, latency_s: float) -> None:
        """Count one request."""
        self.counts[outcome] += 1
        self.latencies.append(latency_s)
        if not outcome.isdigit() and len(self.losses) < _MAX_LOSSES:
            at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            self.losses.append((at, outcome, round(latency_s, 4)))

    def render(self) -> str:
        """One JSON object."""
        ordered = sorted(self.latencies)
        return json.dumps(
            {
                "requests": len(ordered),
                "outcomes": dict(sorted(self.counts.items())),
                "median_s": round(ordered[len(ordered) // 2], 4) if ordered else None,
                "longest_s": round(ordered[-1], 4) if ordered else None,
                # To be read beside the log of the server.
                "losses": self.losses,
            }
        )


class LostError(Exception):
    """The connection ended before a whole answer; `idle` when not a byte of one had come."""

    def __init__(self, why: str, *, idle: bool = False) -> None:
        super().__init__(why)
        self.idle = idle


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bool]:
    """Send one request; returns the status and whether the server keeps the connection."""
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise LostError("closed", idle=not error.partial) from error
    except ConnectionError as error:
        raise LostError("reset", idle=True) from error
    lines = head.decode("latin-1").split("\r\n")
    fields = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:] if line)
    }
    try:
        await reader.readexactly(int(fields.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise LostError("truncated") from error
    return int(lines[0].split()[1]), fields.get("connection", "").lower() != "close"


async def fresh(host: str, port: int, request: bytes, rate: float, seconds: float) -> Outcomes:
    """`rate` requests a second for `seconds`, one connection each, whatever the answers do."""
    outcomes = Outcomes()

    async def one() -> None:
        started = time.monotonic()
        outcome = "timeout"
        writer = None
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(host, port)
                status, _ = await exchange(reader, writer, request)
                outcome = str(status)
        except LostError as error:
            outcome = str(error)
        except ConnectionRefusedError:
            outcome = "refused"
        except OSError as error:
            outcome = type(error).__name__
        finally:
            outcomes.record(outcome, time.monotonic() - started)
            if writer is not None:
                writer.close()

    begin = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
            group.create_task(one())
    return outcomes


async def keepalive(host: str, port: int, request: bytes, clients: int, seconds: float) -> Outcomes:
    """`clients` connections, each reused for a request every 50 ms."""
    outcomes = Outcomes()
    end = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            reader, writer = await asyncio.open_connection(host, port)
            used = 0
            keep = True
            while keep and time.monotonic() < end:
                started = time.monotonic()
                try:
                    async with asyncio.timeout(_TIMEOUT_S):
                        status, keep = await exchange(reader, writer, request)
                    outcome = str(status)
                except LostError as error:
                    # An HTTP client sends such a request again on a new connection.
                    outcome = "idle close" if error.idle and used else str(error)
                    keep = False
                used += 1
                outcomes.record(outcome, time.monotonic() - started)
                await asyncio.sleep(0.05)
            writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return outcomes


def main() -> int:
    """Run one load and print its outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["fresh", "keepalive"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--path", default="/api/v1/tasks?limit=1")
    parser.add_argument("--token", required=True)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (fresh)")
    parser.add_argument("--clients", type=int, default=16, help="connections (keepalive)")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    close = "Connection: close\r\n" if options.mode == "fresh" else ""
    request = (
        f"GET {options.path} HTTP/1.1\r\nHost: {options.host}:{options.port}\r\n"
        f"Authorization: Bearer {options.token}\r\n{close}\r\n"
    ).encode()
    if options.mode == "fresh":
        run = fresh(options.host, options.port, request, options.rate, options.seconds)
    else:
        run = keepalive(options.host, options.port, request, options.clients, options.seconds)
    sys.stdout.write(asyncio.run(run).render() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
