"""The load on the stack during a fault, and the clock of what the stack does about it."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.system.stack_in_lab import Stack

WITHIN_S = 600.0
"""Ends a wait for what will never come; what is measured is printed, not limited by this."""
_READERS = 4
"""The rate limit is each user's own."""
_CLIENT = Path(__file__).with_name("load.py")
_STEADY_S = 2.0
"""How long the load runs before the fault, and after the healing."""


class Traffic:
    """The load client, from the outside.

    Args:
        stack: What it loads.
        folder: For the file of its tokens.
    """

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._file = folder / "tokens.json"
        self._name = f"load-{secrets.token_hex(3)}"
        self.report: dict[str, Any] = {}
        """What it printed, behind the block."""

    def renew_tokens(self) -> None:
        """Give the client tokens that the present secret signs; it takes them after a 401."""
        readers = [self._stack.token(f"reader-{number}") for number in range(_READERS)]
        tokens = {"writer": [self._stack.token(self._name)], "readers": readers}
        self._file.write_text(json.dumps(tokens), encoding="utf-8")

    def argv(self, *words: str) -> list[str]:
        """The command of this host that loads the lab, in the lab's network."""
        options = (f"--name={self._name}", f"--tokens={self._file}", *words)
        return self._stack.lab.netns_argv([sys.executable, str(_CLIENT), *options])


@contextlib.contextmanager
def load(stack: Stack, *words: str) -> Iterator[Traffic]:
    """Requests at a steady rate for the length of the block, and for a moment before and after.

    Args:
        stack: What to load.
        words: Further options of the load client.
    """
    with tempfile.TemporaryDirectory() as folder:
        traffic = Traffic(stack, Path(folder))
        traffic.renew_tokens()
        with subprocess.Popen(
            traffic.argv(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as client:
            try:
                assert client.stdout is not None
                assert client.stdout.readline() == "started\n"
                time.sleep(_STEADY_S)
                yield traffic
                time.sleep(_STEADY_S)
                output, _ = client.communicate("end\n", timeout=3600)
            finally:
                client.kill()
        traffic.report = json.loads(output)


class Stopwatch:
    """Seconds since a fault."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def wait(self, met: Callable[[], bool], what: str) -> float:
        """Wait until something is true; return the seconds since the fault."""
        wait_until(met, WITHIN_S, what)
        return self.seconds

    @property
    def seconds(self) -> float:
        """Seconds since the fault."""
        return time.monotonic() - self._started


def find_ready(stack: Stack) -> int:
    """The status of /readyz; 0 without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.management_port, timeout=120)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def is_ready(stack: Stack) -> bool:
    """Return whether the first instance is ready."""
    return find_ready(stack) == 200


class UnitWatch:
    """Shows when systemd ends or starts a unit.

    Args:
        stack: Where.
        unit: Its name.
    """

    def __init__(self, stack: Stack, unit: str) -> None:
        self._stack = stack
        self._unit = unit
        self._before = self._find_state()

    def has_reacted(self) -> bool:
        """Return whether its state, or the run of it, is another than at first."""
        return self._find_state() != self._before

    def is_healed(self) -> bool:
        """Return whether another run of it is active, and the first instance ready."""
        invocation, state, _ = self._find_state()
        fresh = state == "active" and invocation != self._before[0]
        return fresh and is_ready(self._stack)

    def _find_state(self) -> tuple[str, ...]:
        names = "InvocationID,ActiveState,NRestarts"
        shown = self._stack.systemctl("show", self._unit, f"--property={names}").stdout
        found = dict(line.partition("=")[::2] for line in shown.splitlines())
        return tuple(found[name] for name in names.split(","))
