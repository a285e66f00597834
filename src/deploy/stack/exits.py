"""Exit statuses of services, and their meaning."""

from __future__ import annotations

import dataclasses
import signal

_MEANINGS = {
    65: "this version does not support the schema of the database",
    69: "the database is not available",
    70: "internal error",
    71: "cannot listen",
    77: "a secret is missing, unreadable or too short",
    78: "an option is missing, unknown or invalid",
    125: "Podman could not create the container",
    126: "the container's program cannot be run",
    127: "the container's program was not found",
    137: "killed, for example by a failed health check or because it ran out of memory",
}
"""Exit codes of the stack's programs (docs/configure.md), of Podman, and 128 + SIGKILL."""

_RESULTS = {
    "timeout": "it was not ready within TimeoutStartSec",
    "oom-kill": "it used more memory than MemoryMax",
    "start-limit-hit": "it failed too many times in a row",
    "service-start-limit-hit": "its service failed too many times in a row",
    "resources": "systemd could not start its program",
    "dependency": "a unit that it requires failed",
    "protocol": "it ended before it was ready",
}


@dataclasses.dataclass(frozen=True)
class ExitStatus:
    """Exit status of an invocation of a unit.

    Attributes:
        result: The unit's property Result.
        signaled: Whether a signal ended the main process; `status` is then the signal.
        status: Exit code or signal of the main process.
    """

    result: str
    signaled: bool = False
    status: int = 0

    def render(self, unit: str = "") -> str:
        """Describe the exit of a unit: "exit code 78: an option is missing, unknown or invalid"."""
        if self.result == "resources" and unit.endswith(".socket"):
            return "it cannot listen"
        if self.result in _RESULTS:
            return _RESULTS[self.result]
        if self.signaled:
            return f"killed by {_signal_name(self.status)}"
        if self.status:
            meaning = _MEANINGS.get(self.status)
            return f"exit code {self.status}" + (f": {meaning}" if meaning else "")
        return f"result {self.result}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
