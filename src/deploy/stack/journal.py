"""Queries to the user's journal: exit status and log lines of a unit's invocations."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from deploy import process
from deploy.stack.exits import ExitStatus
from deploy.stack.log_line import CONTAINER_ID, text_of
from deploy.stack.services import container_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINES = 40
_GRAVE = re.compile(r'"level": ?"(?:ERROR|CRITICAL)"|\b(?:FATAL|ERROR|PANIC|CRITICAL)\b|^Error: ')
"""Markers of error lines: the backend's JSON, PostgreSQL's prefixes, and Podman's own."""
_BYSTANDERS = {"systemd", "conmon"}
"""Syslog identifiers of programs that report how a container stopped, but not why."""


def find_end(invocation: str) -> ExitStatus | None:
    """Return the exit status of an invocation, or None if systemd has recorded no failure."""
    result = code = ""
    status = 0
    for entry in _entries(f"USER_INVOCATION_ID={invocation}"):
        result = str(entry.get("UNIT_RESULT") or result)
        code = str(entry.get("EXIT_CODE") or code)
        status = int(entry.get("EXIT_STATUS") or status)
    return (
        ExitStatus(result, signaled=code in {"killed", "dumped"}, status=status) if result else None
    )


def last_line(unit: str, invocation: str = "") -> str:
    """Return a unit's last error, otherwise its last log line, otherwise "".

    An empty invocation selects the lines of all invocations.
    """
    if unit.endswith(".socket"):
        return _last_failure(unit, invocation)
    of_now = _match(invocation)
    # The container's own output is preferred to Podman's messages about the container.
    for matches in ([f"CONTAINER_NAME={container_of(unit)}", *of_now], _own_lines(unit, of_now)):
        lines = _messages(matches)
        grave = [line for line in lines if _GRAVE.search(line)]
        if lines:
            return message_of((grave or lines)[-1])
    return ""


def last_lines(unit: str, number: int, invocation: str) -> list[str]:
    """Return the last errors of a service's container, at most `number`, or its last log lines."""
    lines = _messages([f"CONTAINER_NAME={container_of(unit)}", *_match(invocation)])
    grave = [line for line in lines if _GRAVE.search(line)]
    return [message_of(line) for line in (grave or lines)[-number:]]


def _last_failure(unit: str, invocation: str) -> str:
    """Return systemd's last failure message of a socket, preferably with the address."""
    of_now = [f"USER_INVOCATION_ID={invocation}"] if invocation else []
    prefix = f"{unit}: "
    said = [
        text.removeprefix(prefix)
        for entry in _entries(f"USER_UNIT={unit}", "SYSLOG_IDENTIFIER=systemd", *of_now)
        if (text := text_of(entry.get("MESSAGE"))).startswith(f"{prefix}Failed to ")
    ]
    # The last message lacks the address.
    named = [line for line in said if "(" in line]
    return (named or said or [""])[-1]


def message_of(line: str) -> str:
    """Return the message of a JSON or plain log line, with the last line of its traceback."""
    with contextlib.suppress(ValueError):
        entry = json.loads(line)
        if isinstance(entry, dict) and "message" in entry:
            trace = str(entry.get("exc_info") or "").strip()
            return ": ".join(filter(None, (str(entry["message"]), trace.rpartition("\n")[2])))
    return line.strip()


def _match(invocation: str) -> list[str]:
    return [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else []


def _own_lines(unit: str, of_now: Sequence[str]) -> list[str]:
    return list(of_now) or [f"_SYSTEMD_USER_UNIT={unit}"]


def _messages(matches: Sequence[str]) -> list[str]:
    return [
        text
        for entry in _entries(*matches)
        if (text := text_of(entry.get("MESSAGE")).strip())
        and not CONTAINER_ID.fullmatch(text)
        and entry.get("SYSLOG_IDENTIFIER") not in _BYSTANDERS
        and "PODMAN_EVENT" not in entry
    ]


def _entries(*matches: str) -> Iterator[dict[str, Any]]:
    """Yield the newest matching entries of the user's journal, oldest first."""
    wanted = ["--user", "--quiet", "--no-pager", "--output=json", f"--lines={_LINES}"]
    for line in process.run(["journalctl", *wanted, *matches], check=False).stdout.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)
