"""Log event, parsed from journalctl's JSON and rendered as text or JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from datetime import UTC, datetime
from typing import Any

CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_LEVELS = ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG")
"""Log level of each priority of the journal, from 0 to 7."""
_OF_PREFIX = {
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "error": "ERROR",
    "FATAL": "ERROR",
    "PANIC": "CRITICAL",
}
_PREFIX = re.compile(r"(?:^|\s)([A-Z]+\d?|error):(?:\s|$)")
"""Severity in lines of PostgreSQL ("[1] LOG:  ready") and of commands ("todo.admin: error: …")."""
_PODMAN_ERROR = "Error: "
_UNIT_FAILURE = ": Failed with result "
_GRAVE = {"ERROR", "CRITICAL"}
_ROOT_LOGGER = "todo."
_SHOWN_ELSEWHERE = {"timestamp", "level", "logger", "message", "request_id", "exc_info"}
_FOR_PROGRAMS = {"trace_id", "span_id"}
_INDENT = "    "

_RESET, _BOLD, _DIM = "\033[0m", "\033[1m", "\033[2m"
_COLORS = {
    "CRITICAL": "\033[1;31m",
    "ERROR": "\033[31m",
    "WARNING": "\033[33m",
    "DEBUG": _DIM,
}


@dataclasses.dataclass(frozen=True)
class Line:
    """A log event.

    Args:
        at: Time of the event.
        unit: Name of the unit for users ("db", "backend@2").
        level: Log level.
        message: Log message.
        fields: All fields of a JSON message; empty for a plain line.
    """

    at: datetime
    unit: str
    level: str
    message: str
    fields: dict[str, Any]

    @property
    def is_error(self) -> bool:
        """Whether the level is ERROR or CRITICAL."""
        return self.level in _GRAVE

    @property
    def request_id(self) -> str:
        """ID of the request that caused the event; empty if there is none."""
        return str(self.fields.get("request_id", ""))

    def __str__(self) -> str:
        return self.render()

    def render(self, *, color: bool = False) -> str:
        """Return the event as text in local time, with its traceback, optionally in color."""
        paint = _paint if color else _leave
        time = self.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        logger = str(self.fields.get("logger", "")).removeprefix(_ROOT_LOGGER)
        text = [
            paint(time, _DIM),
            f"{self.unit:<7}",
            paint(f"{self.level:<8}", _COLORS.get(self.level, "")),
            *([paint(f"{_plain(logger)}:", _BOLD)] if logger else []),
            _plain(self.message),
            *(
                f"{paint(f'{_plain(name)}=', _DIM)}{_plain(_shown(value))}"
                for name, value in self.fields.items()
                if name not in _SHOWN_ELSEWHERE | _FOR_PROGRAMS
            ),
            *([paint(f"request={_plain(self.request_id)}", _DIM)] if self.request_id else []),
        ]
        below = str(self.fields.get("exc_info") or "").splitlines()
        return "\n".join([" ".join(text), *(f"{_INDENT}{_plain(line)}" for line in below)])

    def as_json(self) -> str:
        """Return the event as one line of JSON."""
        return render_json(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return the event as a JSON object: time, unit, level and message first."""
        time = self.at.isoformat()
        first = {"timestamp": time, "unit": self.unit, "level": self.level, "message": self.message}
        return first | self.fields


def parse(text: str) -> Line | None:
    """Return the event in one line of journalctl's JSON; None if it is not informative."""
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    message = text_of(entry.get("MESSAGE")).rstrip("\n")
    if not message or CONTAINER_ID.fullmatch(message):
        return None
    container = str(entry.get("CONTAINER_NAME") or "").replace("todo-backend-", "todo-backend@")
    unit = container or entry.get("USER_UNIT") or entry.get("_SYSTEMD_USER_UNIT")
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


def render_json(value: object) -> str:
    """Return a value as one line of JSON, in which lone surrogates are escaped for UTF-8."""
    text = json.dumps(value, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def text_of(message: object) -> str:
    """Return the text of a message, which journalctl prints as a list of bytes if unprintable."""
    if isinstance(message, list):
        return bytes(message).decode(errors="replace")
    return str(message or "")


def _level(entry: dict[str, Any], message: str) -> str:
    """Return the level of a line that does not state one."""
    if "CONTAINER_NAME" in entry:
        # conmon derives the priority from the stream, and programs log to standard error.
        prefix = _PREFIX.search(message)
        return _OF_PREFIX.get(prefix[1], "INFO") if prefix else "INFO"
    if message.startswith(_PODMAN_ERROR) or _UNIT_FAILURE in message:
        # Podman's own output has no priority, and systemd logs failed services as warnings.
        return "ERROR"
    return _LEVELS[int(entry.get("PRIORITY", 6))]


def _shown(value: object) -> str:
    """Render a string without quotes, a list with commas, and other values as JSON."""
    if isinstance(value, list):
        return ",".join(map(_shown, value))
    return value if isinstance(value, str) else json.dumps(value)


def _plain(text: str) -> str:
    """Escape control characters, which clients can inject into the log."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\t\n" else f"\\x{ord(each):02x}" for each in text
    )


def _paint(text: str, code: str) -> str:
    return f"{code}{text}{_RESET}" if code else text


def _leave(text: str, _code: str) -> str:
    return text
