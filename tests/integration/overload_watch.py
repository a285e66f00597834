"""The process behind `overload.Watch`: sends requests to /livez and runs the health probe."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.machine_clock import CLOCK

_PROBE = Path(__file__).parents[2] / "src" / "todo" / "probe.py"
_LIVEZ_PAUSE_S = 0.05
# As the unit has it.
_PROBE_PAUSE_S = 2.0
# Only a service that hangs meets it.
_TIMEOUT_S = 300
_REQUEST = b"GET /livez HTTP/1.1\r\nHost: todo\r\nConnection: close\r\n\r\n"


class Watcher:
    """Measures in threads of its own."""

    def __init__(self, address: str, probe: str, pid: str) -> None:
        self._address = address
        self._probe = probe
        self._pid = pid
        self._ended = threading.Event()
        self._livez: list[tuple[float, float]] = []
        self._failed = 0
        self._probes: list[tuple[int, str]] = []
        self._rss_peak_mib = 0.0

    def run(self) -> dict[str, Any]:
        """Measure once, say so, and then until standard input ends."""
        self._ask()
        self._run_probe()
        sys.stdout.write("watching\n")
        sys.stdout.flush()
        self._livez.clear()
        self._probes.clear()
        self._failed = 0
        works = [
            (self._ask, _LIVEZ_PAUSE_S),
            (self._run_probe, _PROBE_PAUSE_S),
            (self._read_memory, _LIVEZ_PAUSE_S),
        ]
        threads = [threading.Thread(target=self._repeat, args=work) for work in works]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self._ended.set()
        for thread in threads:
            thread.join()
        return {
            "livez_worst_s": max(counted for counted, _wall in self._livez),
            "livez_wall_s": max(wall for _counted, wall in self._livez),
            "livez_failed": self._failed,
            "probes": self._probes,
            "rss_peak_mib": self._rss_peak_mib,
        }

    def _repeat(self, work: Any, pause_s: float) -> None:  # noqa: ANN401 - a method of this
        while True:
            work()
            if self._ended.wait(pause_s):
                return

    def _ask(self) -> None:
        counted, wall = CLOCK.now(), time.monotonic()
        answer = b""
        with contextlib.suppress(OSError), self._connect() as peer:
            peer.settimeout(_TIMEOUT_S)
            peer.sendall(_REQUEST)
            while part := peer.recv(4096):
                answer += part
        self._failed += not answer.startswith(b"HTTP/1.1 200 ")
        self._livez.append((CLOCK.now() - counted, time.monotonic() - wall))

    def _connect(self) -> socket.socket:
        if self._address.startswith("/"):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(_TIMEOUT_S)
            peer.connect(self._address)
            return peer
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host, int(port)), _TIMEOUT_S)

    def _run_probe(self) -> None:
        done = subprocess.run(
            [sys.executable, "-I", "-S", _PROBE, "livez", self._probe],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        self._probes.append((done.returncode, done.stdout.strip()))

    def _read_memory(self) -> None:
        self._rss_peak_mib = max(self._rss_peak_mib, read_rss_mib(int(self._pid)))


def read_rss_mib(pid: int) -> float:
    """Resident memory of a process; 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    json.dump(Watcher(*sys.argv[1:]).run(), sys.stdout)
