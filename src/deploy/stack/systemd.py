"""The user's systemd: its commands, and the properties of its units."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TIMEOUT_S = 600.0
"""For a command that does not wait for a start: a stop may take the longest TimeoutStopSec."""


def systemctl(*arguments: str, check: bool = True) -> process.Completed:
    """Run `systemctl --user` with these arguments."""
    return process.run(["systemctl", "--user", *arguments], check=check, timeout_s=_TIMEOUT_S)


@dataclasses.dataclass(frozen=True)
class UnitState:
    """State of a unit in systemd.

    Attributes:
        active: ActiveState.
        sub: SubState.
        result: Result of its last run ("success", "exit-code", "timeout", …).
        restarts: Number of restarts by systemd since a command last started the unit.
        has_job: Whether a job of the unit is queued or running.
        signaled: Whether a signal ended the main process; `status` is then the signal.
        status: Exit code or signal of the main process.
        invocation: ID of its current or last start; empty before the first.
        since: Time of its last state change; None before the first start.
    """

    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    restarts: int = 0
    has_job: bool = False
    signaled: bool = False
    status: int = 0
    invocation: str = ""
    # Two observations of the same state are equal.
    since: datetime | None = dataclasses.field(default=None, compare=False)


_STATE = (
    *("ActiveState", "SubState", "Result", "NRestarts", "Job", "InvocationID"),
    *("ExecMainCode", "ExecMainStatus"),
)
_TIMES = {
    "active": "ActiveEnterTimestamp",
    "reloading": "ActiveEnterTimestamp",
    "activating": "InactiveExitTimestamp",
    "deactivating": "ActiveExitTimestamp",
    "inactive": "InactiveEnterTimestamp",
    "failed": "InactiveEnterTimestamp",
}
"""The property with the time of the change to a state."""
_EXITED = 1
"""CLD_EXITED; ExecMainCode is 2 or 3 when a signal ended the process."""


def state(unit: str) -> UnitState:
    """Return the current state of a unit."""
    return _parse_state(properties(unit, *_STATE))


def states(units: Sequence[str]) -> dict[str, UnitState]:
    """Return the current states of several units, with the times of their last changes."""
    names = ("Id", *_STATE, *dict.fromkeys(_TIMES.values()))
    wanted = [f"--property={name}" for name in names]
    shown = systemctl("show", "--timestamp=unix", *wanted, *units).stdout
    blocks = [_parse_properties(block) for block in shown.split("\n\n")]
    found = {block.get("Id", ""): _parse_state(block) for block in blocks}
    return {unit: found.get(unit, UnitState("unknown", "unknown")) for unit in units}


def _parse_state(shown: Mapping[str, str]) -> UnitState:
    active = shown.get("ActiveState", "unknown")
    return UnitState(
        active=active,
        sub=shown.get("SubState", "unknown"),
        result=shown.get("Result", "success"),
        restarts=_number(shown.get("NRestarts")),
        has_job=_number(shown.get("Job")) > 0,
        signaled=_number(shown.get("ExecMainCode")) > _EXITED,
        status=_number(shown.get("ExecMainStatus")),
        invocation=shown.get("InvocationID", ""),
        since=_time(shown.get(_TIMES.get(active, ""), "")),
    )


def properties(unit: str, *names: str) -> dict[str, str]:
    """Return the named properties of a unit, as systemd prints them; unknown ones are absent.

    A property with several values, one a line, keeps the lines.
    """
    return _parse_properties(
        systemctl("show", unit, *(f"--property={name}" for name in names)).stdout
    )


def _parse_properties(shown: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in shown.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            found[key] = f"{found[key]}\n{value}" if key in found else value
    return found


def stop_volume_units(names: Iterable[str]) -> None:
    """Stop the units of these volumes; the volumes stay.

    Once they have run they are active, even after their volume and their file are removed. Later
    containers would not start them, and Podman would make volumes without their owner.
    """
    systemctl("stop", *(f"{name}-volume.service" for name in names), check=False)


def is_active(unit: str) -> bool:
    """Return whether a unit is up (a finished oneshot that remains after exit counts)."""
    return properties(unit, "ActiveState").get("ActiveState") == "active"


def listening(socket_unit: str) -> list[str]:
    """Return the addresses that a socket unit is to listen on, in its order ("127.0.0.1:8000")."""
    lines = properties(socket_unit, "Listen").get("Listen", "").splitlines()
    return [line.rsplit(" (", 1)[0] for line in lines if line]


def _time(text: str) -> datetime | None:
    """Return a time as `--timestamp=unix` shows it ("@1796009428"), or None."""
    seconds = _number(text.removeprefix("@"))
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
