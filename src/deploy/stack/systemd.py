"""The user's systemd: its commands, and the properties of its units."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deploy import process

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMEOUT_S = 600.0
"""For a command that does not wait for a start: a stop may take the longest TimeoutStopSec."""


def systemctl(*arguments: str, check: bool = True) -> process.Completed:
    """Run `systemctl --user` with these arguments."""
    return process.run(["systemctl", "--user", *arguments], check=check, timeout_s=_TIMEOUT_S)


@dataclasses.dataclass(frozen=True)
class UnitState:
    """A unit as systemd shows it.

    Attributes:
        active: ActiveState.
        sub: SubState.
        result: How it ended last ("success", "exit-code", "timeout", …).
        restarts: How often systemd restarted it since it was last started by a command.
        has_job: Whether a job is queued or runs for it.
        signaled: Whether a signal ended its main process; `status` is then the signal.
        status: Exit code or signal of its main process.
        invocation: Id of its current or last start; empty before the first.
    """

    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    restarts: int = 0
    has_job: bool = False
    signaled: bool = False
    status: int = 0
    invocation: str = ""


_EXITED = 1
"""CLD_EXITED; ExecMainCode is 2 or 3 when a signal ended the process."""


def state(unit: str) -> UnitState:
    """What systemd shows of a unit now."""
    names = ("ActiveState", "SubState", "Result", "NRestarts", "Job", "InvocationID")
    shown = properties(unit, *names, "ExecMainCode", "ExecMainStatus")
    return UnitState(
        active=shown.get("ActiveState", "unknown"),
        sub=shown.get("SubState", "unknown"),
        result=shown.get("Result", "success"),
        restarts=_number(shown.get("NRestarts")),
        has_job=_number(shown.get("Job")) > 0,
        signaled=_number(shown.get("ExecMainCode")) > _EXITED,
        status=_number(shown.get("ExecMainStatus")),
        invocation=shown.get("InvocationID", ""),
    )


def properties(unit: str, *names: str) -> dict[str, str]:
    """The named properties of a unit, as systemd prints them; unknown ones are absent.

    A property with several values, one a line, keeps the lines.
    """
    shown = systemctl("show", unit, *(f"--property={name}" for name in names)).stdout
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
    """Whether a unit is up (a finished oneshot that remains after exit counts)."""
    return properties(unit, "ActiveState").get("ActiveState") == "active"


def listening(socket_unit: str) -> list[str]:
    """The addresses that a socket unit is to listen on, in its order ("127.0.0.1:8000")."""
    lines = properties(socket_unit, "Listen").get("Listen", "").splitlines()
    return [line.rsplit(" (", 1)[0] for line in lines if line]


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
