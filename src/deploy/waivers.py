"""Exceptions of `scan` and `audit`: one file, each entry with a reason and an expiry date."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

from deploy.errors import DeployError, ExitCode
from deploy.paths import REPO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

FILE = REPO / "exceptions.toml"


@dataclasses.dataclass(frozen=True)
class ScanException:
    """Known vulnerability that is temporarily accepted.

    Attributes:
        id: ID of the advisory or one of its aliases, such as `CVE-2026-1234`.
        package: Name of the package in the image.
        reason: Why the vulnerability is harmless here.
        expires: Last day of validity.
    """

    id: str
    package: str
    reason: str
    expires: dt.date

    def __str__(self) -> str:
        return f"[[scan]] {self.id} in {self.package}"


@dataclasses.dataclass(frozen=True)
class AuditException:
    """Intentional violation of a checker's rule.

    Attributes:
        tool: Checker, such as `checkov`.
        where: File of the checkout that may violate the rule.
        expires: Last day of validity.
    """

    tool: str
    rule: str
    where: str
    reason: str
    expires: dt.date

    def __str__(self) -> str:
        return f"[[audit]] {self.tool} {self.rule} in {self.where}"


@dataclasses.dataclass(frozen=True)
class Exceptions:
    """Entries of the exceptions file, in order."""

    scan: tuple[ScanException, ...] = ()
    audit: tuple[AuditException, ...] = ()


Entry = TypeVar("Entry", ScanException, AuditException)


def load(path: Path = FILE) -> Exceptions:
    """Load the exceptions file, if it exists; raise a DeployError that names the invalid entry."""
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        return Exceptions()
    except (OSError, ValueError) as error:  # text that is not UTF-8 is a ValueError, too
        raise DeployError(
            f"{path.name}: {error}",
            hint="each entry must have the keys that the head of the file lists",
            code=ExitCode.DATA,
        ) from error


def parse(text: str) -> Exceptions:
    """Parse the text of an exceptions file; raise a ValueError that names the invalid entry."""
    document = tomllib.loads(text)
    unknown = sorted(document.keys() - {"scan", "audit"})
    if unknown:
        raise ValueError(f"{unknown[0]} is unknown; use [[scan]] or [[audit]]")
    return Exceptions(
        scan=tuple(_entries(document, "scan", ScanException)),
        audit=tuple(_entries(document, "audit", AuditException)),
    )


def in_force(entries: Iterable[Entry], today: dt.date) -> list[Entry]:
    """Return the entries that have not expired; an entry is valid until the end of its last day."""
    return [entry for entry in entries if today <= entry.expires]


def find_problems(
    entries: Iterable[Entry], used: Collection[Entry], today: dt.date
) -> list[tuple[Entry, str]]:
    """Return the expired entries and those that matched no finding, each with its problem."""
    problems = []
    for entry in entries:
        if today > entry.expires:
            problems.append((entry, f"expired on {entry.expires}"))
        elif entry not in used:
            problems.append((entry, "no longer matches anything"))
    return problems


def _entries(document: dict[str, object], kind: str, shape: type[Entry]) -> Iterable[Entry]:
    listed = document.get(kind, [])
    if not isinstance(listed, list):
        raise ValueError(f"{kind} must be an array of tables: [[{kind}]]")  # noqa: TRY004 - its text is shown
    seen: set[Entry] = set()
    for number, fields in enumerate(listed, start=1):
        name = f"[[{kind}]] entry {number}"
        if not isinstance(fields, dict):
            raise ValueError(f"{name} is not a table")  # noqa: TRY004 - its text is shown
        entry = shape(**_checked(fields, shape, name))
        if entry in seen:
            raise ValueError(f"{name} ({entry}) occurs twice")
        seen.add(entry)
        yield entry


def _checked(fields: dict[str, object], shape: type[Entry], name: str) -> dict[str, Any]:
    keys = [field.name for field in dataclasses.fields(shape)]
    # The first keys identify an entry better than its number.
    if isinstance(fields.get(keys[0]), str):
        name = f"{name} ({' '.join(str(fields[key]) for key in keys[:2] if key in fields)})"
    unknown = sorted(fields.keys() - set(keys))
    if unknown:
        raise ValueError(f"{name} has an unknown key {unknown[0]}")
    for key in keys:
        value = fields.get(key)
        if key == "expires":
            # A datetime is also a date, but cannot be compared with one.
            if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
                raise ValueError(f"{name} requires a date without quotes: expires = 2027-01-31")
        elif not isinstance(value, str) or not value.strip():
            raise ValueError(f'{name} requires {key} = "…"')
    return fields
