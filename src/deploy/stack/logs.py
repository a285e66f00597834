"""The log of the stack: what its programs and systemd wrote, out of the user's journal."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy import process
from deploy.stack.services import AI, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

UNITS = tuple(service.removeprefix("todo-").removesuffix(".service") for service in (*SERVICES, AI))
"""The names that users give."""

_FIELDS = "MESSAGE,PRIORITY,CONTAINER_NAME,SYSLOG_IDENTIFIER,USER_UNIT,_SYSTEMD_USER_UNIT"
CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_LEVELS = ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG")
"""By the priority in the journal."""
_OF_PREFIX = {
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "error": "ERROR",
    "FATAL": "ERROR",
    "PANIC": "CRITICAL",
}
_PREFIX = re.compile(r"(?:^|\s)([A-Z]+\d?|error):(?:\s|$)")
"""The severity of PostgreSQL ("[1] LOG:  ready") and of commands ("todo.admin: error: …")."""
_SHOWN_FIRST = {"timestamp", "level", "logger", "message"}
_FOR_PROGRAMS = {"trace_id", "span_id"}


@dataclasses.dataclass(frozen=True)
class Line:
    """One event.

    Args:
        at: When.
        unit: Of which unit, as users name it.
        level: How severe.
        message: What happened.
        fields: What else the program wrote.
    """

    at: datetime
    unit: str
    level: str
    message: str
    fields: dict[str, Any]

    def __str__(self) -> str:
        """The event for a reader, in the time of this machine."""
        more = "".join(
            f" {name}={_shown(value)}"
            for name, value in self.fields.items()
            if name not in _SHOWN_FIRST | _FOR_PROGRAMS
        )
        time = self.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"{time} {self.unit:<7} {self.level:<8} {self.message}{more}"

    def as_json(self) -> str:
        """The event for a program."""
        time = self.at.isoformat()
        first = {"timestamp": time, "unit": self.unit, "level": self.level, "message": self.message}
        return json.dumps(first | self.fields, ensure_ascii=False)


def read(units: Sequence[str], *, lines: int, follow: bool) -> Iterator[Line]:
    """The latest events, oldest first.

    Args:
        units: Of these of UNITS; of all when empty.
        lines: How many to begin with.
        follow: Whether to continue with what is logged from now on, without an end.
    """
    command = [
        "journalctl",
        "--user",
        "--quiet",
        "--no-pager",
        "--output=json",
        "--all",
        f"--output-fields={_FIELDS}",
        f"--lines={lines}",
        *(["--follow"] if follow else []),
        *_matches(units or UNITS),
    ]
    return without_echoes(filter(None, map(parse, process.follow(command))))


def without_echoes(lines: Iterable[Line]) -> Iterator[Line]:
    """Leave out what is there twice: Podman and its log driver both pass on some output."""
    before: Line | None = None
    for line in lines:
        echoes = before is not None and (line.unit, line.message) == (before.unit, before.message)
        if line.fields or not echoes:
            yield line
        before = line


def _matches(units: Sequence[str]) -> list[str]:
    """What programs, containers and systemd wrote, without the events of Podman."""
    terms = []
    for unit in units:
        name = f"todo-{unit}"
        terms += [
            [f"CONTAINER_NAME={name}"],
            [f"USER_UNIT={name}.service", "SYSLOG_IDENTIFIER=systemd"],
            [f"_SYSTEMD_USER_UNIT={name}.service", f"SYSLOG_IDENTIFIER={name}"],
        ]
    joined = itertools.chain.from_iterable(["+", *term] for term in terms)
    return list(joined)[1:]


def parse(text: str) -> Line | None:
    """The event of one line of journalctl's JSON; None where a reader learns nothing from it."""
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    message = text_of(entry.get("MESSAGE")).rstrip("\n")
    if not message or CONTAINER_ID.fullmatch(message):
        return None
    unit = entry.get("CONTAINER_NAME") or entry.get("USER_UNIT") or entry.get("_SYSTEMD_USER_UNIT")
    fields: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        found = json.loads(message)
        if isinstance(found, dict) and isinstance(found.get("message"), str):
            fields, message = found, found["message"]
    level = fields.get("level") or _level(entry, message)
    return Line(
        at=datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1_000_000, UTC),
        unit=str(unit or "").removesuffix(".service").removeprefix("todo-"),
        level=str(level),
        message=message,
        fields=fields,
    )


def _level(entry: dict[str, Any], message: str) -> str:
    """How severe a plain line is."""
    if "CONTAINER_NAME" in entry:
        # Podman's monitor gives a priority by the stream, and standard error is one of logs.
        prefix = _PREFIX.search(message)
        return _OF_PREFIX.get(prefix[1], "INFO") if prefix else "INFO"
    return _LEVELS[int(entry.get("PRIORITY", 6))]


def _shown(value: object) -> str:
    """A value as a reader expects it: words without quotes, the rest as JSON has it."""
    if isinstance(value, list):
        return ",".join(map(_shown, value))
    return value if isinstance(value, str) else json.dumps(value)


def text_of(message: object) -> str:
    """The text of a message, which journalctl shows as numbers where it is not printable."""
    if isinstance(message, list):
        return bytes(message).decode(errors="replace")
    return str(message or "")
