"""The load client of the fault suite: a program of its own that only knows the API.

It sends a fixed number of requests a second, whatever becomes of them (open loop): most over fresh
connections, some over kept ones that look for the server's end before they are used again, and
tasks by writers. Event streams follow the writers. A machine that cannot answer as many gets
fewer, found before the fault, and the report says how many. At the end, by a line on standard
input, it waits for every answer, reads all tasks back, and prints one JSON object.

A request is lost when no whole response came (refused, reset, closed, cut off, or none in two
minutes) or a 5xx came; 503 with Retry-After counts as deferred. A writer repeats a lost or deferred
write with its idempotency key, until it is acknowledged: so each title must exist exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.http_client import Connection, LostError, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

TIMEOUT_S = 120.0
"""Longer than any healing takes: what is slow is not lost."""
MAX_OPEN = 400
"""Requests that wait for their answers: more would only measure the queue that they make."""
_PAUSE_S = 0.5
_MAX_PAUSE_S = 5.0
_TRIAL_S = 3.0
_ROOM = 2.5
_MAX_WAITING_S = 0.25
"""A machine where requests wait for longer after some seconds cannot answer that many."""
_MIN_RATE = 20.0
_MAX_LOSSES = 50
_TASKS = "/api/v1/tasks"
_EVENTS = "/api/v1/events"


@dataclasses.dataclass
class Counts:
    """Outcomes of the requests.

    Args:
        by_kind: Kind of client -> outcome (status, `deferred`, or how it was lost) -> number.
        losses: Seconds since the start, kind and outcome of the first lost requests.
        latencies: Seconds that each answered request took.
    """

    started: float = dataclasses.field(default_factory=time.monotonic)
    by_kind: dict[str, collections.Counter[str]] = dataclasses.field(default_factory=dict)
    losses: list[tuple[float, str, str]] = dataclasses.field(default_factory=list)
    latencies: list[float] = dataclasses.field(default_factory=list)

    async def watch(self, kind: str, attempt: Awaitable[Response]) -> Response | None:
        """Count one request; return its response unless it is lost or deferred."""
        began = time.monotonic()
        try:
            response = await attempt
        except LostError as error:
            self._count(kind, str(error), lost=True)
            return None
        self.latencies.append(time.monotonic() - began)
        if response.deferred:
            self._count(kind, "deferred", lost=False)
            return None
        lost = response.status >= 500
        self._count(kind, str(response.status), lost=lost)
        return None if lost else response

    def hold_back(self) -> None:
        """Count a request that was due and not sent: too many wait for their answers."""
        self._count("held back", "not sent", lost=False)

    def _count(self, kind: str, outcome: str, *, lost: bool) -> None:
        self.by_kind.setdefault(kind, collections.Counter())[outcome] += 1
        if lost and len(self.losses) < _MAX_LOSSES:
            self.losses.append((round(time.monotonic() - self.started, 3), kind, outcome))


class Tokens:
    """The users' tokens, read again when the server does not know one any more.

    Args:
        file: A JSON object, `writer` and `readers` -> a list of tokens.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, list[str]] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file."""
        self._found = json.loads(self._file.read_text(encoding="utf-8"))

    @property
    def writer(self) -> str:
        """The token of the user who writes."""
        return self._found["writer"][0]

    def get_reader(self, number: int) -> str:
        """The token of one of those who read; the rate limit is each user's own."""
        readers = self._found["readers"]
        return readers[number % len(readers)]


class Load:
    """All clients of one run.

    Args:
        options: The command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.counts = Counts()
        self.acknowledged: set[str] = set()
        self.pending: set[str] = set()
        self.seen: list[collections.Counter[str]] = []
        self._options = options
        self._tokens = Tokens(Path(options.tokens))
        self._over = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> dict[str, object]:
        """Run until the end is due; return the report."""
        options = self._options
        rate = await self._find_rate(options.rate)
        self.counts = Counts()
        kept = max(1, round(rate * 0.2 / 4))
        jobs: list[Coroutine[object, object, None]] = [
            self._send_steadily(rate * 0.7, self._send_fresh),
            self._send_steadily(rate * 0.1, self._write),
            *(self._keep_alive(number) for number in range(kept)),
            *(self._follow() for _ in range(options.streams)),
        ]
        running = [asyncio.create_task(job) for job in jobs]
        sys.stdout.write("started\n")
        sys.stdout.flush()
        await self._wait_for_end()
        self._over.set()
        seconds = time.monotonic() - self.counts.started
        await asyncio.gather(*running[: len(jobs) - options.streams])
        while self._background:
            await asyncio.gather(*self._background)
        stored = collections.Counter(await self._read_back())
        await self._await_streams(stored)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return {"rate": round(rate), **self._report(seconds, stored)}

    async def _find_rate(self, rate: float) -> float:
        """The rate, or the highest one below it that leaves the machine room for the fault.

        Without room, a queue of requests would be what is measured.
        """
        while True:
            ends_at = time.monotonic() + _TRIAL_S
            trial = asyncio.create_task(self._send_steadily(_ROOM * rate, self._send_fresh))
            await asyncio.sleep(ends_at - time.monotonic())
            waiting = len(self._background)
            trial.cancel()
            while self._background:
                await asyncio.gather(*self._background)
            if waiting <= rate * _MAX_WAITING_S or rate <= _MIN_RATE:
                return rate
            rate = max(_MIN_RATE, rate * 0.7)

    async def _wait_for_end(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(reader)
        await loop.connect_read_pipe(lambda: protocol, sys.stdin)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.readline(), self._options.max_seconds)

    async def _send_steadily(self, rate: float, send: Callable[[int], Awaitable[None]]) -> None:
        began = time.monotonic()
        number = 0
        while not self._over.is_set():
            due = began + number / rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            if len(self._background) < MAX_OPEN:
                task = asyncio.ensure_future(send(number))
                self._background.add(task)
                task.add_done_callback(self._background.discard)
            else:
                self.counts.hold_back()
            number += 1

    async def _send_fresh(self, number: int) -> None:
        path = f"{_TASKS}?limit=1"
        await self._send("fresh", self._connect(), "GET", path, reader=number, keep=False)

    async def _keep_alive(self, number: int) -> None:
        connection = self._connect()
        while not self._over.is_set():
            await self._send("kept", connection, "GET", f"{_TASKS}?limit=1", reader=number)
            await asyncio.sleep(0.25)
        connection.close()

    async def _write(self, number: int) -> None:
        title = f"{self._options.name}-{number}"
        self.pending.add(title)
        pause_s = _PAUSE_S
        while True:
            answer = await self._send(
                "write",
                self._connect(),
                "POST",
                _TASKS,
                headers={"Idempotency-Key": title},
                document={"title": title},
                keep=False,
            )
            if answer is not None and answer.status == 201:
                self.acknowledged.add(title)
                self.pending.discard(title)
                return
            # A request in flight may still hold the key (409): later it is answered from there.
            if self._over.is_set():
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    async def _follow(self) -> None:
        """Follow the writer's changes; continue after each end where the last event was."""
        seen: collections.Counter[str] = collections.Counter()
        self.seen.append(seen)
        last = 0
        while True:
            connection = self._connect()
            headers = {"Last-Event-ID": str(last)}
            answer = await self._send("stream", connection, "GET", _EVENTS, headers=headers)
            if answer is not None and answer.status == 200:
                # A stream that is reset between two events has lost nothing: it continues.
                with contextlib.suppress(LostError):
                    async for number, title in _read_events(connection):
                        last = number
                        seen[title] += 1
            connection.close()
            await asyncio.sleep(_PAUSE_S)

    async def _read_back(self) -> list[str]:
        """Every title of the writer that the server has, over all pages."""
        titles: list[str] = []
        cursor = ""
        while True:
            path = f"{_TASKS}?limit=100{cursor}"
            page = (await self._insist(path)).parse_json()
            titles += [task["title"] for task in page["items"]]
            if page["next_cursor"] is None:
                return titles
            cursor = f"&cursor={page['next_cursor']}"

    async def _await_streams(self, stored: collections.Counter[str]) -> None:
        """Give the streams time to deliver what is stored."""
        ends_at = time.monotonic() + TIMEOUT_S
        while any(stored.keys() - seen.keys() for seen in self.seen):
            if time.monotonic() > ends_at:
                return
            await asyncio.sleep(0.1)

    def _report(self, seconds: float, stored: collections.Counter[str]) -> dict[str, object]:
        counts = self.counts
        outcomes = {kind: dict(found) for kind, found in counts.by_kind.items()}
        held = outcomes.pop("held back", {}).get("not sent", 0)
        every = [(outcome, n) for found in outcomes.values() for outcome, n in found.items()]
        ordered = sorted(counts.latencies) or [0.0]
        return {
            "seconds": round(seconds, 1),
            "sent": sum(n for _, n in every),
            "held_back": held,
            "deferred": sum(n for outcome, n in every if outcome == "deferred"),
            "lost": sum(n for outcome, n in every if is_lost(outcome)),
            "outcomes": outcomes,
            "losses": counts.losses,
            "median_s": round(ordered[len(ordered) // 2], 4),
            "longest_s": round(ordered[-1], 3),
            "acknowledged": len(self.acknowledged),
            "unanswered": len(self.pending),
            "missing": sorted(self.acknowledged - stored.keys()),
            "doubled": sorted(title for title, n in stored.items() if n > 1),
            "unseen": [len(self.acknowledged - seen.keys()) for seen in self.seen],
            "seen_twice": [sum(n > 1 for n in seen.values()) for seen in self.seen],
        }

    async def _insist(self, path: str) -> Response:
        """Repeat a request that changes nothing, and is not counted, until it is answered."""
        ends_at = time.monotonic() + 10 * TIMEOUT_S
        while True:
            with contextlib.suppress(LostError):
                answer = await self._connect().exchange("GET", path, self._tokens.writer)
                if answer.status == 200:
                    return answer
                self._tokens.reload()
            if time.monotonic() > ends_at:
                raise TimeoutError(path)
            await asyncio.sleep(_PAUSE_S)

    def _connect(self) -> Connection:
        return Connection(self._options.host, self._options.port, TIMEOUT_S)

    async def _send(
        self,
        kind: str,
        connection: Connection,
        method: str,
        path: str,
        *,
        reader: int | None = None,
        **more: Any,  # noqa: ANN401 - as Connection.exchange
    ) -> Response | None:
        """Send a counted request as the writer, or as one of the readers."""
        token = self._tokens.writer if reader is None else self._tokens.get_reader(reader)
        attempt = connection.exchange(method, path, token, **more)
        answer = await self.counts.watch(kind, attempt)
        if answer is not None and answer.status == 401:
            self._tokens.reload()
        return answer


def is_lost(outcome: str) -> bool:
    """Return whether an outcome means that a request is lost: no answer, or a 5xx."""
    return outcome != "deferred" and not (outcome.isdigit() and int(outcome) < 500)


async def _read_events(connection: Connection) -> AsyncIterator[tuple[int, str]]:
    """Number and title of each change that a stream brings; the sizes of chunks are passed over."""
    number = 0
    while line := await connection.read_line():
        if line.startswith(b"id:"):
            number = int(line[3:])
        elif line.startswith(b"data:"):
            change = json.loads(line[5:])
            yield number, change["after"]["title"]


def main() -> int:
    """Run one load and print its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--streams", type=int, default=3, help="event streams")
    parser.add_argument("--name", required=True, help="first part of every title")
    parser.add_argument("--tokens", required=True, help="file of the users' tokens, as JSON")
    parser.add_argument("--max-seconds", type=float, default=1800.0)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    report = asyncio.run(Load(options).run())
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
