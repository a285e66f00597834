"""Benchmark of starts, healing and restarts of the stack, in a lab of its own.

Every figure is the median of several rounds with its range.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx

from tests.system.stack_in_lab import Stack, open_machine, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

_SOCKETS = ("todo-backend.socket", "todo-management.socket")
_UNITS = (*_SOCKETS, "todo-backend", "todo-migrate", "todo-db")
_LOAD_S = 10.0


def main() -> int:
    """Run every measurement and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with open_machine() as stack:
        stack.up()
        report("cold start of everything to ready", [cold(stack) for _ in range(rounds)])
        report("start of the backend alone", [start(stack) for _ in range(rounds)])
        report("kill -9 to ready", [heal(stack, "KILL") for _ in range(rounds)])
        report("hang to ready", [heal(stack, "STOP") for _ in range(rounds)])
        for mode in ("fresh", "keepalive"):
            results = [restart_under_load(stack, mode) for _ in range(rounds)]
            report(f"longest wait in a restart, {mode}", [r["longest_s"] for r in results])
            for result in results:
                sys.stdout.write(f"    {json.dumps(result['outcomes'])}\n")
        pss = stack.pss_mib(stack.server_pid())
        sys.stdout.write(f"{'idle memory of the backend (PSS)':<46} {pss:6.1f} MiB\n")
    return 0


def report(what: str, seconds: list[float]) -> None:
    """Print one figure."""
    median = statistics.median(seconds)
    spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
    sys.stdout.write(f"{what:<46} {median:6.2f} s  ({spread}, n={len(seconds)})\n")
    sys.stdout.flush()


def timed(act: Callable[[], object]) -> float:
    """Seconds that something takes."""
    started = time.monotonic()
    act()
    return time.monotonic() - started


def cold(stack: Stack) -> float:
    """Everything down, then `systemctl start todo-backend`, until a request is served."""
    stack.systemctl("stop", *_UNITS)
    seconds = timed(lambda: stack.systemctl("start", "todo-backend"))
    seconds += timed(stack.wait_ready)
    calm(stack)
    return seconds


def start(stack: Stack) -> float:
    """Duration of `systemctl start` for only the backend."""
    stack.systemctl("stop", *_SOCKETS, "todo-backend")
    seconds = timed(lambda: stack.systemctl("start", "todo-backend"))
    calm(stack)
    return seconds


def heal(stack: Stack, signal: str) -> float:
    """From the signal until a new process answers that it is ready."""
    before = stack.server_pid()
    stack.signal_server(signal)
    started = time.monotonic()

    def replaced() -> bool:
        # The socket is systemd's: this request waits in its queue for the new process.
        answer = httpx.get(f"http://127.0.0.1:{stack.management_port}/readyz", timeout=30)
        return answer.status_code == httpx.codes.OK and stack.server_pid() != before

    wait_until(replaced, 60, "healed")
    seconds = time.monotonic() - started
    calm(stack)
    return seconds


def restart_under_load(stack: Stack, mode: str) -> dict[str, Any]:
    """The load's own report over a restart in its middle."""
    with stack.load(mode, _LOAD_S) as load:
        time.sleep(_LOAD_S / 3)
        stack.systemctl("restart", "todo-backend")
    calm(stack)
    return load


def calm(stack: Stack) -> None:
    """Keep rounds apart, and away from the unit's start limit."""
    stack.wait_ready()
    stack.systemctl("reset-failed", check=False)
    time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
