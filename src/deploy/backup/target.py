"""Target of a restore, and its options for the restore script."""

from __future__ import annotations

import dataclasses
import enum
import re
from datetime import UTC, datetime

from deploy.errors import DeployError, ExitCode

_STAMP = re.compile(r"\d{8}T\d{6}Z")
_ENTRY = re.compile(r"(?P<owner>.+)/(?P<seq>\d{1,18})", re.DOTALL)
_RUN = "run:"
_MAX_NAME = 63
"""Maximum length of a restore point's name in PostgreSQL, in bytes."""


class Kind(enum.StrEnum):
    """Kind of a restore target."""

    END = "end"
    TIME = "time"
    POINT = "point"
    RUN = "run"
    ENTRY = "entry"
    BACKUP = "backup"
    VOLUME = "volume"


@dataclasses.dataclass(frozen=True)
class Target:
    """Target of a restore.

    Attributes:
        kind: Kind of `value`.
        value: Time in UTC, name of a restore point, ID of a run, USER/NUMBER of a journal entry,
            stamp of a base backup, or volume; empty for the end.
    """

    kind: Kind = Kind.END
    value: str = ""

    @property
    def is_change(self) -> bool:
        """Whether the target precedes a change in the journal."""
        return self.kind in {Kind.RUN, Kind.ENTRY}

    @property
    def entry(self) -> tuple[str, int]:
        """Owner and number of the journal entry."""
        owner, _, seq = self.value.rpartition("/")
        return owner, int(seq)

    def __str__(self) -> str:
        """Return a description of the restored state."""
        return {
            Kind.END: "the end of the backup",
            Kind.TIME: f"{self.value} UTC",
            Kind.POINT: f"the restore point {self.value}",
            Kind.RUN: f"the moment before the run {self.value}",
            Kind.ENTRY: f"the moment before the entry {self.value}",
            Kind.BACKUP: f"the base backup {self.value}",
            Kind.VOLUME: f"the content of {self.value}",
        }[self.kind]


@dataclasses.dataclass(frozen=True)
class Change:
    """Journal entry with the ID and the start time of its transaction."""

    owner: str
    seq: int
    transaction: str
    at: datetime


def parse_time(text: str, now: datetime | None = None) -> Target:
    """Parse a time in ISO 8601; without an offset, it is in this machine's time zone.

    Raises:
        DeployError: The time is malformed or in the future.
    """
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise DeployError(
            f"--to: {text} is not a valid time",
            hint="write a time such as 2026-11-30T14:05 or 2026-11-30T14:05:10+01:00",
            code=ExitCode.USAGE,
        ) from None
    if moment > (now or datetime.now(UTC)):
        message = f"--to: {text} is in the future"
        raise DeployError(
            message, hint="omit --to to restore the latest state", code=ExitCode.USAGE
        )
    return Target(Kind.TIME, moment.replace(tzinfo=None).isoformat(sep=" "))


def parse_point(text: str) -> Target:
    """Parse the name of a restore point; raise a DeployError if PostgreSQL does not allow it."""
    if not text or len(text.encode()) > _MAX_NAME or not text.isprintable():
        message = "--to-point: must be the name of a restore point, at most 63 bytes"
        raise DeployError(message, code=ExitCode.USAGE)
    return Target(Kind.POINT, text)


def parse_backup(text: str) -> Target:
    """Parse the stamp of a base backup; raise a DeployError if it is malformed."""
    if not _STAMP.fullmatch(text):
        message = f"--to-backup: {text} is not the name of a base backup"
        hint = "use the name of a folder in the backup's folder base, such as 20261130T031500Z"
        raise DeployError(message, hint=hint, code=ExitCode.USAGE)
    return Target(Kind.BACKUP, text)


def parse_volume(text: str) -> Target:
    """Return the target for the name of a volume."""
    return Target(Kind.VOLUME, text)


def parse_change(text: str) -> Target:
    """Parse USER/NUMBER of a journal entry, or the ID of a run with an optional prefix `run:`."""
    if text.startswith(_RUN):
        text, is_entry = text.removeprefix(_RUN), False
    else:
        is_entry = _ENTRY.fullmatch(text) is not None
    if not text or not text.isprintable():
        message = "--before: must be the ID of a run, or USER/NUMBER of a journal entry"
        raise DeployError(message, code=ExitCode.USAGE)
    return Target(Kind.ENTRY if is_entry else Kind.RUN, text)


def render_options(
    target: Target, change: Change | None = None, *, accept_gap: bool = False
) -> list[str]:
    """Return the options of the restore script for a target.

    The restore ends before `change`. With `accept_gap`, it ends at a missing WAL file.
    """
    options = ["--accept-gap"] if accept_gap else []
    if change is not None:
        # The restore needs a base backup that ended before the change; the newest is the fastest.
        limit = ["--ended-before", _write_second(change.at)]
        return [*options, *limit, "--before", change.transaction]
    if target.kind is Kind.TIME:
        moment = datetime.fromisoformat(target.value)
        return [*options, "--ended-before", _write_second(moment), "--time", f"{target.value}+00"]
    if target.kind is Kind.POINT:
        return [*options, "--name", target.value]
    if target.kind is Kind.BACKUP:
        return [*options, "--base", target.value]
    return options


def _write_second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
