"""Parsers of the values of unit keys.

Each function returns the value of an assignment or raises a DeployError with file, line and remedy.
systemd and Podman have different formats for durations and sizes, hence two functions for each.
"""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deploy.units.parser import literal, split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from deploy.units.parser import Assignment

HOME = "%h/"
"""Prefix of host paths that a unit may mount: systemd's specifier of the user's home."""

_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})
_MAX_ID = 2**32 - 2
_MODE = re.compile(r"0?[0-7]{3,4}")
_SECRET_NAME = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIALS?)$"
)

# Units of systemd time spans, in seconds.
_SYSTEMD_UNITS = {
    "seconds": 1.0, "second": 1.0, "sec": 1.0, "s": 1.0, "": 1.0,
    "minutes": 60.0, "minute": 60.0, "min": 60.0, "m": 60.0,
    "hours": 3600.0, "hour": 3600.0, "hr": 3600.0, "h": 3600.0,
    "days": 86400.0, "day": 86400.0, "d": 86400.0,
    "msec": 1e-3, "ms": 1e-3, "usec": 1e-6, "us": 1e-6, "μs": 1e-6, "µs": 1e-6,
}  # fmt: skip
_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zμµ]*)")
_GO_SPAN = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")

_BINARY = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_SYSTEMD_SIZE = re.compile(r"(\d+)\s*([BKMGTP]?)")
_PODMAN_SIZE = re.compile(r"(\d+)([bkmgtp]?)b?", re.IGNORECASE)


def text(assignment: Assignment) -> str:
    """Return the unchanged value, with `%%` and `$$` unescaped."""
    return literal(assignment, assignment.value)


def verbatim(assignment: Assignment) -> str:
    """Return the unchanged value, including specifiers; for keys that only systemd reads."""
    return assignment.value


def words(assignment: Assignment) -> tuple[str, ...]:
    """Return the value split into words, with `%%` and `$$` unescaped."""
    return tuple(literal(assignment, word) for word in split_words(assignment))


def mount(assignment: Assignment) -> str:
    """Return a mount; a host path must start with HOME."""
    if assignment.value.startswith(HOME):
        return HOME + literal(assignment, assignment.value.removeprefix(HOME))
    return text(assignment)


def boolean(assignment: Assignment) -> bool:
    """Return a Boolean; only spellings that both systemd and Podman accept are valid."""
    value = assignment.value.lower()
    if value not in _TRUE | _FALSE:
        assignment.refuse("not a Boolean", "write true or false")
    return value in _TRUE


def number(assignment: Assignment) -> int:
    """Return a non-negative integer."""
    if not re.fullmatch(r"\d{1,18}", assignment.value, re.ASCII):
        assignment.refuse("not a whole number", "write digits only")
    return int(assignment.value)


def integer(assignment: Assignment) -> int:
    """Return an integer."""
    if not re.fullmatch(r"-?\d{1,9}", assignment.value, re.ASCII):
        assignment.refuse("not a whole number", "write digits only")
    return int(assignment.value)


def ulimit(assignment: Assignment) -> tuple[str, int, int]:
    """Return the name, soft value and hard value of a resource limit."""
    match = re.fullmatch(r"([a-z]+)=(\d{1,9})(?::(\d{1,9}))?", text(assignment), re.ASCII)
    if match is None:
        assignment.refuse("not a limit with numbers", "write, for example, nofile=1024:1024")
    return match[1], int(match[2]), int(match[3] or match[2])


def count(assignment: Assignment) -> int | None:
    """Return a non-negative integer, or None for `infinity`."""
    return None if assignment.value == "infinity" else number(assignment)


def account(assignment: Assignment) -> int:
    """Return a numeric uid or gid other than 0; names would depend on the image."""
    value = number(assignment)
    if not 0 < value <= _MAX_ID:
        assignment.refuse("not the number of an unprivileged user", "write a number from 1 up")
    return value


def seconds(assignment: Assignment) -> float | None:
    """Return a systemd time span in seconds, or None for `infinity`."""
    if assignment.value == "infinity":
        return None
    return _sum(assignment, _SPAN, _SYSTEMD_UNITS, "write, for example, 90, 100ms or 1min 30s")


def duration(assignment: Assignment) -> float:
    """Return a Podman duration in seconds; the value must have a unit."""
    return _sum(assignment, _GO_SPAN, _GO_UNITS, "write it with a unit, for example 2s or 1m30s")


def _sum(
    assignment: Assignment, pattern: re.Pattern[str], units: dict[str, float], hint: str
) -> float:
    total = 0.0
    at = 0
    while at < len(assignment.value):
        match = pattern.match(assignment.value, at)
        if match is None or match[2] not in units:
            break
        total += float(match[1]) * units[match[2]]
        at = match.end()
    if at == 0 or at < len(assignment.value):
        assignment.refuse("not a duration", hint)
    return total


def size(assignment: Assignment) -> int | None:
    """Return a systemd size in bytes, or None for `infinity`; K, M and G are powers of 1024."""
    if assignment.value == "infinity":
        return None
    match = _SYSTEMD_SIZE.fullmatch(assignment.value)
    if match is None:
        assignment.refuse("not a size", "write, for example, 256M or 1G")
    return int(match[1]) * _BINARY[match[2].lower()]


def podman_size(assignment: Assignment, value: str) -> int:
    """Return a Podman size in bytes; k, m and g are powers of 1024."""
    match = _PODMAN_SIZE.fullmatch(value)
    if match is None:
        assignment.refuse(f"{value} is not a size", "write, for example, 16m or 1g")
    return int(match[1]) * _BINARY[match[2].lower()]


def shm_size(assignment: Assignment) -> int:
    """Return the size of /dev/shm in bytes."""
    return podman_size(assignment, assignment.value)


def percentage(assignment: Assignment) -> int:
    """Return a CPU quota in percent of one processor, possibly more than 100."""
    match = re.fullmatch(r"([1-9]\d{0,6})%", assignment.value, re.ASCII)
    if match is None:
        assignment.refuse("not a percentage", "write, for example, 200% for two processors")
    return int(match[1])


def check_mode(assignment: Assignment, value: str) -> None:
    """Raise a DeployError if a value is not an octal file mode."""
    if not _MODE.fullmatch(value):
        assignment.refuse(f"{value} is not a mode", "write it in octal, for example 0400")


def stop_signal(assignment: Assignment) -> str:
    """Return the name of a signal with the prefix SIG."""
    name = assignment.value.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name not in signal.Signals.__members__:
        assignment.refuse("not a signal", "write, for example, SIGINT")
    return name


def exit_codes(assignment: Assignment) -> tuple[int, ...]:
    """Return exit codes; only numbers are accepted, no names such as DATAERR."""
    found = split_words(assignment)
    if not all(re.fullmatch(r"\d{1,3}", word, re.ASCII) and int(word) < 256 for word in found):  # noqa: PLR2004 - one byte
        assignment.refuse("not a list of exit codes", "write numbers below 256 with spaces between")
    return tuple(int(word) for word in found)


def argv(assignment: Assignment) -> tuple[str, ...]:
    """Return a program and its arguments from a JSON array.

    A string would require /bin/sh, which the images of this project lack.
    """
    try:
        found = json.loads(assignment.value)
    except (ValueError, RecursionError):
        found = None
    if (
        not isinstance(found, list)
        or not found
        or not all(isinstance(word, str) and word for word in found)
        or not found[0].startswith("/")
    ):
        assignment.refuse(
            "not a JSON array that starts with an absolute path",
            'write it as ["/path/to/program","argument"]: a string needs a shell in the image',
        )
    return tuple(literal(assignment, word) for word in found)


def entrypoint(assignment: Assignment) -> tuple[str, ...]:
    """Return the entrypoint of a container: one absolute path, or a JSON array."""
    if assignment.value.startswith("["):
        return argv(assignment)
    found = words(assignment)
    if len(found) != 1 or not found[0].startswith("/"):
        assignment.refuse("not one absolute path", 'use a JSON array: ["/path","argument"]')
    return found


def looks_secret(name: str, value: str) -> bool:
    """Return whether an environment variable looks like a secret, by its name or value."""
    try:
        return bool(_SECRET_NAME.search(name.upper()) or urlsplit(value).password)
    except ValueError:
        return False


def one_of(*allowed: str) -> Callable[[Assignment], str]:
    """Return a parser of a key with a fixed set of values."""

    def read(assignment: Assignment) -> str:
        if assignment.value not in allowed:
            assignment.refuse("not a known value", f"write one of {', '.join(allowed)}")
        return assignment.value

    return read


def fixed(*, required: bool, why: str) -> Callable[[Assignment], bool]:
    """Return a parser of a Boolean key with a single permitted value."""

    def read(assignment: Assignment) -> bool:
        if boolean(assignment) is not required:
            assignment.refuse(why, f"write {assignment.key}={str(required).lower()}")
        return required

    return read


def options(
    assignment: Assignment, given: str, known: Collection[str], *, flags: Collection[str] = ()
) -> dict[str, str]:
    """Parse comma-separated options: `name=value`, or flags without a value."""
    found: dict[str, str] = {}
    for option in given.split(","):
        name, equals, value = option.partition("=")
        if name in found:
            assignment.refuse(f"the option {name} occurs twice", "drop one")
        if not (name in known and equals and value) and not (name in flags and not equals):
            choices = ", ".join([*flags, *(f"{each}=" for each in known)])
            assignment.refuse(f"unknown option {option}", f"known are {choices}")
        found[name] = value
    return found
