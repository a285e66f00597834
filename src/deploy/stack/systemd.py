"""The user's systemd: asking it, telling it, and finding out why something failed."""

from __future__ import annotations

import contextlib
import json

from deploy import tools

_JOB_TIMEOUT_S = 400.0
"""Above the longest TimeoutStartSec of the units and what they wait for."""


def systemctl(*arguments: str, check: bool = True) -> tools.Completed:
    """Run `systemctl --user` with these arguments."""
    return tools.run(["systemctl", "--user", *arguments], check=check, timeout_s=_JOB_TIMEOUT_S)


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


def is_active(unit: str) -> bool:
    """Whether a unit is up (a finished oneshot that remains after exit counts)."""
    return properties(unit, "ActiveState").get("ActiveState") == "active"


def listening(socket_unit: str) -> list[str]:
    """The addresses a socket unit listens on, in its order ("127.0.0.1:8000")."""
    lines = properties(socket_unit, "Listen").get("Listen", "").splitlines()
    return [line.rsplit(" (", 1)[0] for line in lines if line]


def last_words(unit: str, container: str | None = None) -> str:
    """The line in which a unit's program said why it ended, or systemd's own verdict.

    Args:
        unit: The service.
        container: Its container, whose output the journal keeps under the container's name.
    """
    invocation = properties(unit, "InvocationID").get("InvocationID", "")
    of_now = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else []
    if container and of_now:
        said = _journal(f"CONTAINER_NAME={container}", *of_now)
        if said:
            return message_of(said[-1])
    lines = _journal(*of_now) if of_now else []
    errors = [line for line in lines if "error" in line.lower()]
    if errors or lines:
        return (errors or lines)[-1].strip()
    state = properties(unit, "Result", "ExecMainStatus")
    return f"result {state.get('Result')}, exit code {state.get('ExecMainStatus')}"


def _journal(*matches: str) -> list[str]:
    shown = tools.run(
        ["journalctl", "--user", "--quiet", "--no-pager", "--output=cat", "--lines=40", *matches],
        check=False,
    )
    return [line for line in shown.stdout.splitlines() if line.strip()]


def message_of(line: str) -> str:
    """The text of a log line, be it JSON or plain."""
    with contextlib.suppress(ValueError):
        entry = json.loads(line)
        if isinstance(entry, dict) and "message" in entry:
            return str(entry["message"])
    return line.strip()
