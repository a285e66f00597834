"""A load generator for keep-alive connections that costs little: blocking logic, one epoll.

Reads one JSON object from standard input (see `Plan`) and prints one (see `Outcome`). Each
connection asks again as soon as it has its answer, until the time or the number of requests is
over. Every answer's status and length are checked, and of a sample what the body says; whatever
is not as it must be is counted and named.
"""

from __future__ import annotations

import dataclasses
import json
import random
import select
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLE = 50
"""Every how many answers one is read."""
_SILENCE_S = 20.0
_RECEIVE_BYTES = 256 * 1024
_EXAMPLES = 5
# So that both sides are asked the same.
_SEED = 7


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to ask: the requests are taken in a random order, evenly over the connections.

    Attributes:
        socket: Path of the server's Unix socket.
        requests: For each request its text, and what its answer must hold (see `check`).
        status: The only status that counts as an answer.
        connections: Keep-alive connections, each with one request at a time.
        seconds: After so many no further request is sent.
        count: After so many no further request is sent.
    """

    socket: str
    requests: list[tuple[str, dict[str, Any]]]
    status: int
    connections: int
    seconds: float
    count: int


@dataclasses.dataclass
class Outcome:
    """What came of it; times in seconds.

    Attributes:
        answers: Good ones.
        seconds: From the first request to the last answer.
        median_s: Latency that half of the requests stay below.
        p99_s: Latency that 99 of 100 stay below.
        errors: What went wrong, with how often.
    """

    answers: int
    seconds: float
    median_s: float
    p99_s: float
    errors: dict[str, int]


class WrongAnswerError(Exception):
    """The answer is not what the request asked for."""


class Connection:
    """One connection and its request in flight."""

    def __init__(self, path: str, status: int) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(_SILENCE_S)
        self.socket.connect(path)
        self._begins = b"HTTP/1.1 %d " % status
        self._received = b""
        self._sent_at = 0.0
        self._wanted: dict[str, Any] = {}

    def send(self, request: bytes, wanted: dict[str, Any]) -> None:
        """Ask."""
        self._received = b""
        self._wanted = wanted
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self, *, inspect: bool) -> float | None:
        """Take what has come; return the latency in seconds once the answer is whole.

        Raises:
            WrongAnswerError: It is none, or not the right one.
        """
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise WrongAnswerError("the server closed the connection")
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return None
        missing = _find_length(head) - len(body)
        if missing > 0:
            return None
        latency_s = time.perf_counter() - self._sent_at
        if missing or not head.startswith(self._begins):
            raise WrongAnswerError(f"{head.splitlines()[0].decode()}: {body[:200]!r}")
        if inspect:
            check(json.loads(body), self._wanted)
        return latency_s


def _find_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    if not found:
        raise WrongAnswerError("an answer without its length")
    return int(rest.partition(b"\r\n")[0])


def check(body: Any, wanted: dict[str, Any]) -> None:  # noqa: ANN401 - whatever JSON holds
    """Compare a body with what was asked for.

    Args:
        body: A task, a list of tasks, or an object with `items`.
        wanted: `length`: exactly so many tasks; `word`: stands in every title, and at least one
            task was found; anything else: the field of every task.

    Raises:
        WrongAnswerError: They differ.
    """
    tasks = body if isinstance(body, list) else body.get("items", [body])
    fields = {name: value for name, value in wanted.items() if name not in {"length", "word"}}
    good = all(task.get(name) == value for task in tasks for name, value in fields.items())
    good &= len(tasks) == wanted.get("length", len(tasks))
    good &= bool(tasks) and all(wanted.get("word", "") in task.get("title", "") for task in tasks)
    if not good:
        raise WrongAnswerError(f"not {wanted}: {json.dumps(body)[:300]}")


def run(plan: Plan) -> Outcome:
    """Load the server."""
    # One by one, each accepted before the next comes: the start is no burst.
    connections = [Connection(plan.socket, plan.status) for _ in range(plan.connections)]
    latencies: list[float] = []
    errors: dict[str, int] = {}
    next_request = _cycle(plan)
    poller = select.epoll()
    by_number = {}
    for connection in connections:
        by_number[connection.socket.fileno()] = connection
        poller.register(connection.socket, select.EPOLLIN)
    started = time.perf_counter()
    ends = started + plan.seconds
    for connection in connections:
        connection.send(*next_request())
    asked = waiting = len(connections)
    while waiting:
        ready = poller.poll(_SILENCE_S)
        if not ready:
            _count(errors, "no answer", waiting)
            break
        for number, _ in ready:
            connection = by_number[number]
            try:
                latency_s = connection.receive(inspect=len(latencies) % _SAMPLE == 0)
            except (WrongAnswerError, OSError, ValueError) as error:
                _count(errors, str(error) or type(error).__name__, 1)
                poller.unregister(number)
                waiting -= 1
                continue
            if latency_s is None:
                continue
            latencies.append(latency_s)
            if asked < plan.count and time.perf_counter() < ends:
                connection.send(*next_request())
                asked += 1
            else:
                waiting -= 1
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.socket.close()
    latencies.sort()
    return Outcome(
        answers=len(latencies),
        seconds=seconds,
        median_s=_quantile(latencies, 0.5),
        p99_s=_quantile(latencies, 0.99),
        errors=dict(sorted(errors.items(), key=lambda item: -item[1])[:_EXAMPLES]),
    )


def _cycle(plan: Plan) -> Callable[[], tuple[bytes, dict[str, Any]]]:
    requests = [(text.encode(), wanted) for text, wanted in plan.requests]
    random.Random(_SEED).shuffle(requests)  # noqa: S311 - an order, no secret
    position = -1

    def following() -> tuple[bytes, dict[str, Any]]:
        nonlocal position
        position = (position + 1) % len(requests)
        return requests[position]

    return following


def _count(errors: dict[str, int], what: str, number: int) -> None:
    errors[what] = errors.get(what, 0) + number


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dataclasses.asdict(run(Plan(**json.load(sys.stdin))))))
