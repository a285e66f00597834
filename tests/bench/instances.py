"""Throughput with one and two instances, and losses of rolling restarts, in a lab of its own.

`wrk` sends as many requests as are answered, over kept connections, to the public socket of
systemd with one instance and with two, and to the same container with a port that Podman
publishes. Rounds alternate, so a busy machine slows all of them down alike. The generator and
PostgreSQL share the processors with the instances. Then `hey` sends a steady number of requests
while `build.py restart` goes through one, two and three instances; it counts what failed.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from deploy.host import packages
from tests.bench.launch import NAME
from tests.bench.start import UNSUPERVISED
from tests.system.stack_in_lab import open_machine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.system.stack_in_lab import Stack

_PUBLIC, _PUBLISHED = 8000, 18000
_NO_LIMITS = """
[Container]
Environment=TODO_RATE_LIMIT_PER_MINUTE=0
Environment=TODO_RATE_LIMIT_ADDRESS_PER_MINUTE=0
"""
_OWN_VALUES = frozenset({"--name", "--network", "--cidfile"})
_OWN_FLAGS = frozenset({"-d", "--replace"})
_TASKS = 20
_PATH = "/api/v1/tasks?limit=20"
_LOAD_S = 10
_CONNECTIONS = 32
_RATE, _CLIENTS = 200, 20
_RESTART_S = 60
_WAYS = ("socket of systemd, 1 instance", "published port, 1 instance", "socket, 2 instances")
_PER_SECOND = re.compile(r"Requests/sec:\s+([\d.]+)")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)\b")
_FAULTS = re.compile(r"Socket errors:.*|Non-2xx.*")
_TO_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_STATUSES = re.compile(r"\[(\d+)\]\s+(\d+) responses")
_ERRORS = re.compile(r"Error distribution:(.*)", re.DOTALL)


def main() -> int:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    packages.ensure_packages(["wrk", "hey"], assume_yes=True)
    with open_machine() as stack, stack.drop_in("todo-backend.container", _NO_LIMITS):
        stack.up()
        with stack.client("bench") as client:
            for number in range(_TASKS):
                client.post("/api/v1/tasks", json={"title": f"Task {number}"}).raise_for_status()
        token = stack.token("bench")
        _report_throughput(_measure_throughput(stack, token, rounds))
        _measure_restarts(stack, token)
    return 0


def _measure_throughput(
    stack: Stack, token: str, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Way -> requests per second and 99th percentile in ms of each round."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in _WAYS}
    command = stack.inspect("todo-backend")["Config"]["CreateCommand"]
    for number in range(rounds):
        # There and back, so that no way always follows the same one.
        for way in _WAYS[:: -1 if number % 2 else 1]:
            if way == _WAYS[1]:
                with _published(stack, command):
                    found[way].append(_load(stack, token, _PUBLISHED))
            else:
                stack.up(f"--instances={2 if way == _WAYS[2] else 1}")
                found[way].append(_load(stack, token, _PUBLIC))
    stack.up("--instances=1")
    return found


@contextlib.contextmanager
def _published(stack: Stack, command: Sequence[str]) -> Iterator[None]:
    """The backend's container with a port of Podman's, while the units are stopped."""
    units = ("todo-backend.socket", "todo-management.socket", "todo-backend")
    stack.up("--instances=1")
    stack.systemctl("stop", *units)
    options = [
        # Behind `podman run` and before the image.
        *_drop_options(command[2:-1]),
        *UNSUPERVISED,
        f"--name={NAME}",
        "--network=pasta",
        f"--publish=127.0.0.1:{_PUBLISHED}:{_PUBLIC}",
        f"--env=TODO_BIND=0.0.0.0:{_PUBLIC}",
    ]
    try:
        stack.podman("run", "--detach", *options, command[-1])
        probe = ["curl", "--silent", "--output=/dev/null", f"http://127.0.0.1:{_PUBLISHED}/"]
        wait_until(lambda: not stack.lab.run(probe, check=False).returncode, 600, "published")
        yield
    finally:
        stack.podman("rm", "--force", "--time=0", "--ignore", NAME)
        stack.systemctl("start", *units)
        stack.wait_ready()


def _drop_options(words: Sequence[str]) -> Iterator[str]:
    """Leave out what the container of a unit has besides the published one."""
    rest = iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name in _OWN_VALUES and not equals:
            next(rest)
        elif name not in _OWN_VALUES and name not in _OWN_FLAGS:
            yield word


def _load(stack: Stack, token: str, port: int) -> tuple[float, float]:
    """Requests per second, and the 99th percentile of their latency in ms.

    Raises:
        RuntimeError: A request failed.
    """
    output = ""
    # The first run only warms up.
    for seconds in (2, _LOAD_S):
        words = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout=60s"]
        header = f"--header=Authorization: Bearer {token}"
        argv = stack.lab.netns_argv([*words, header, f"http://127.0.0.1:{port}{_PATH}"])
        output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    faults, rate, p99 = (each.search(output) for each in (_FAULTS, _PER_SECOND, _P99))
    if faults or rate is None or p99 is None:
        message = f"wrk: {faults[0] if faults else output}"
        raise RuntimeError(message)
    return float(rate[1]), float(p99[1]) * _TO_MS[p99[2]]


def _report_throughput(found: dict[str, list[tuple[float, float]]]) -> None:
    rounds = len(found[_WAYS[0]])
    _say(f"GET {_PATH}, {_CONNECTIONS} connections, {rounds} rounds of {_LOAD_S} s each\n")
    _say("| way | requests/s, median (range) | against the first | p99 ms, median |")
    _say("| --- | --- | --- | --- |")
    for way, results in found.items():
        rates, p99s = zip(*results, strict=True)
        ratios = [rate / first for rate, (first, _) in zip(rates, found[_WAYS[0]], strict=True)]
        spread = f"{statistics.median(rates):.0f} ({min(rates):.0f}-{max(rates):.0f})"
        ratio, p99 = statistics.median(ratios), statistics.median(p99s)
        _say(f"| {way} | {spread} | {ratio:.2f} | {p99:.0f} |")


def _measure_restarts(stack: Stack, token: str) -> None:
    """Print what became of the requests while all instances were restarted, by their number."""
    _say("\n| instances | restarts | requests | answers | errors |")
    _say("| --- | --- | --- | --- | --- |")
    for number in (1, 2, 3):
        stack.up(f"--instances={number}")
        words = ["hey", f"-z={_RESTART_S}s", f"-c={_CLIENTS}", f"-q={_RATE // _CLIENTS}", "-t=120"]
        header = f"-H=Authorization: Bearer {token}"
        argv = stack.lab.netns_argv([*words, header, f"http://127.0.0.1:{_PUBLIC}{_PATH}"])
        restarts = 0
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
            ends = time.monotonic() + _RESTART_S * 0.8
            while time.monotonic() < ends:
                stack.build("restart", "--no-lab")
                restarts += 1
            output, _ = running.communicate(timeout=600)
        statuses = {status: int(count) for status, count in _STATUSES.findall(output)}
        errors = _ERRORS.search(output)
        shown = " ".join(errors[1].split()) if errors else "none"
        _say(f"| {number} | {restarts} | {sum(statuses.values())} | {statuses} | {shown} |")
    stack.up("--instances=1")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
