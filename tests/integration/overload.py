"""Measurements under attack: slowest /livez, the health probe, and memory.

    with Watch(service, "empty fragments") as watch:
        flood(connect, b"...", for_s=5)
    assert watch.report.livez_worst_s < 2
    assert watch.report.failed_probes == 0

`Watch` prints its report as a line of a table; `pytest -s` shows it.
"""

import contextlib
import dataclasses
import itertools
import json
import selectors
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.integration.overload_watch import read_rss_mib
from tests.integration.service import Service

_ROOT = Path(__file__).parents[2]
_WATCHER = "tests.integration.overload_watch"
TABLE_HEAD = """\
| attack | worst /livez | probes that failed | RSS before, peak, after |
| --- | --- | --- | --- |
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Measurements during an attack.

    Attributes:
        attack: Its name.
        livez_worst_s: The longest wait for an answer of /livez, in seconds of `machine_clock`.
        livez_wall_s: The same in seconds of the wall clock.
        livez_failed: How many of these requests got no answer, or another one than 200.
        probes: Exit codes of the health probe, run every two seconds as the unit has it.
        probe_lines: What the probe said, in the same order.
        rss_mib: Resident memory of the service before the attack, at its peak, and after it.
    """

    attack: str
    livez_worst_s: float
    livez_wall_s: float
    livez_failed: int
    probes: tuple[int, ...]
    probe_lines: tuple[str, ...]
    rss_mib: tuple[float, float, float]

    @property
    def failed_probes(self) -> int:
        """Number of failed health probes."""
        return sum(1 for code in self.probes if code)

    @property
    def is_killed(self) -> bool:
        """Whether two probes failed in a row: the unit's HealthRetries."""
        return any(first and second for first, second in itertools.pairwise(self.probes))

    def __str__(self) -> str:
        """Return a line of a table."""
        probes = f"{self.failed_probes} of {len(self.probes)}"
        if self.is_killed:
            probes += ", killed"
        livez = f"{self.livez_wall_s:.2f} s"
        if self.livez_failed:
            livez += f", {self.livez_failed} failed"
        before, peak, after = self.rss_mib
        return f"| {self.attack} | {livez} | {probes} | {before:.0f}, {peak:.0f}, {after:.0f} MiB |"


class Watch:
    """Watches a service for the length of the block.

    A process of its own asks: an attack from the test's process does not delay what is measured.

    Attributes:
        report: There once the block has ended.
    """

    report: Report

    def __init__(self, service: Service, attack: str, *, address: str = "") -> None:
        """Prepare.

        Args:
            service: A running backend.
            attack: Name of the attack, for the table.
            address: Where /livez is asked for: `host:port`, or the path of a Unix socket. The
                service's public socket by default.
        """
        self._service = service
        self._attack = attack
        self._address = address or service.environment["TODO_BIND"].removeprefix("unix:")
        self._probe = service.environment["TODO_PROBE_BIND"].removeprefix("unix:")

    def __enter__(self) -> Self:
        """Start to watch; return once everything was measured once without the attack."""
        self._before_mib = read_rss_mib(self._service.process.pid)
        pid = str(self._service.process.pid)
        self._watcher = subprocess.Popen(
            [sys.executable, "-m", _WATCHER, self._address, self._probe, pid],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._watcher.stdout is not None
        assert self._watcher.stdout.readline() == "watching\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the answers that are still open, and report."""
        try:
            out, _ = self._watcher.communicate()
        finally:
            self._watcher.kill()
        seen: dict[str, Any] = json.loads(out)
        after_mib = read_rss_mib(self._service.process.pid)
        self.report = Report(
            attack=self._attack,
            livez_worst_s=seen["livez_worst_s"],
            livez_wall_s=seen["livez_wall_s"],
            livez_failed=seen["livez_failed"],
            probes=tuple(code for code, _line in seen["probes"]),
            probe_lines=tuple(line for _code, line in seen["probes"]),
            rss_mib=(self._before_mib, max(seen["rss_peak_mib"], after_mib), after_mib),
        )
        sys.stdout.write(f"\n{self.report}\n")


def flood(
    connect: Callable[[], socket.socket], data: bytes, *, for_s: float, connections: int = 1
) -> tuple[int, int]:
    """Send the same bytes again and again, and read what comes.

    Args:
        connect: Opens a connection, and sends what comes first; called again for each connection
            that the service closes.
        data: What is sent from its beginning to its end, then again.
        for_s: Seconds of the wall clock.
        connections: How many are open at a time.

    Returns:
        How many bytes were sent, and how many connections the service closed.
    """
    ends_at = time.monotonic() + for_s
    sent: dict[socket.socket, int] = {}
    closed = total = 0
    view = memoryview(data)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:

        def open_peer() -> None:
            peer = stack.enter_context(connect())
            peer.settimeout(0)
            sent[peer] = 0
            selector.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE)

        for _ in range(connections):
            open_peer()
        while time.monotonic() < ends_at:
            for key, ready in selector.select(0.1):
                peer = key.fileobj
                assert isinstance(peer, socket.socket)
                try:
                    if ready & selectors.EVENT_READ and not peer.recv(65536):
                        raise ConnectionResetError
                    if ready & selectors.EVENT_WRITE:
                        count = peer.send(view[sent[peer] % len(data) :])
                        sent[peer] += count
                        total += count
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    continue
                except OSError:
                    selector.unregister(peer)
                    peer.close()
                    closed += 1
                    open_peer()
    return total, closed
