"""Client of the user's systemd: commands, and properties of units."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TIMEOUT_S = 600.0
"""Timeout of a command in seconds; stopping a unit may take the longest TimeoutStopSec."""


def systemctl(*arguments: str, check: bool = True) -> process.Completed:
    """Run `systemctl --user` with these arguments."""
    return process.run(["systemctl", "--user", *arguments], check=check, timeout_s=_TIMEOUT_S)


@dataclasses.dataclass(frozen=True)
class UnitState:
    """State of a unit in systemd.

    Attributes:
        active: ActiveState.
        sub: SubState.
        result: Result of the last run ("success", "exit-code", "timeout", …).
        restarts: Number of restarts by systemd since a command last started the unit.
        has_job: Whether a job of the unit is queued or running.
        signaled: Whether a signal ended the main process; `status` is then the signal.
        status: Exit code or signal of the main process.
        invocation: InvocationID of the current or last start; empty before the first.
        since: Time of the last state change; None before the first start.
    """

    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    restarts: int = 0
    has_job: bool = False
    signaled: bool = False
    status: int = 0
    invocation: str = ""
    # It is not compared, so that observations of the same state are equal.
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
"""ActiveState -> property with the time of the change to that state."""
_EXITED = 1
"""CLD_EXITED; ExecMainCode is 2 or 3 when a signal ended the process."""


def state(unit: str) -> UnitState:
    """Return the current state of a unit."""
    return _parse_state(properties(unit, *_STATE))


def states(units: Sequence[str]) -> dict[str, UnitState]:
    """Return the current states of several units, including the times of their last changes."""
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
    """Return the named properties of a unit, as systemd prints them; unknown ones are missing.

    Values that systemd prints on several lines are joined by newlines.
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
    """Stop the units of these volumes, but keep the volumes.

    The units stay active even after the volume and the unit file are removed. Containers would then
    not start them again, and Podman would create the volumes with the wrong owner.
    """
    systemctl("stop", *(f"{name}-volume.service" for name in names), check=False)


def is_active(unit: str) -> bool:
    """Return whether a unit is active, which includes finished oneshots with RemainAfterExit."""
    return properties(unit, "ActiveState").get("ActiveState") == "active"


def listening(socket_unit: str) -> list[str]:
    """Return the loaded addresses of a socket unit ("127.0.0.1:8000"), in their order."""
    lines = properties(socket_unit, "Listen").get("Listen", "").splitlines()
    return [line.rsplit(" (", 1)[0] for line in lines if line]


def _time(text: str) -> datetime | None:
    """Parse a time in the format of `--timestamp=unix` ("@1796009428"); None without a time."""
    seconds = _number(text.removeprefix("@"))
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
