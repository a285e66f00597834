"""Status of the backups: newest backup, last run, restore drill and WAL receiver."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy.stack import backups, database, disks
from deploy.stack.services import has_backups

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.stack.disks import Disk

_LAG = (
    "SELECT coalesce(wal_status, 'lost'), active,"
    " pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)"
    " FROM pg_replication_slots WHERE slot_name = 'todo_wal'"
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of a backup run; `reason` is the cause of a failure, and empty on success."""

    at: str
    ok: bool
    reason: str = ""
    seconds: int = 0
    bytes: int = 0
    stamp: str = ""


@dataclasses.dataclass(frozen=True)
class WalStatus:
    """Status of the WAL receiver's replication slot.

    Attributes:
        receiving: Whether the receiver is connected.
        kept: WAL status of the slot: reserved, extended, unreserved or lost.
        lag_bytes: Size of the WAL that the receiver has not confirmed; None if some is lost.
    """

    receiving: bool
    kept: str
    lag_bytes: int | None


@dataclasses.dataclass(frozen=True)
class BackupStatus:
    """Status of the stack's backups.

    Attributes:
        folder: Folder of the backups.
        count: Number of base backups.
        newest: Stamp of the newest base backup; None if there is none.
        age_seconds: Age of the newest base backup.
        bytes: Size of the newest base backup.
        total_bytes: Size of all base backups.
        last: Outcome of the last run; None before the first.
        drill: Recorded outcome of the last restore drill; None before the first.
        wal: Status of the receiver; None if the server has no slot for it.
    """

    folder: str
    count: int
    newest: str | None
    age_seconds: int | None
    bytes: int | None
    total_bytes: int
    last: Outcome | None
    drill: dict[str, Any] | None
    wal: WalStatus | None


def find() -> BackupStatus | None:
    """Return the status of the backups, or None if the stack makes none.

    Raises:
        DeployError: A unit is unreadable, or the database cannot be queried.
        OSError: The folder is unreadable.
        ValueError: A file in the folder is malformed.
    """
    if not has_backups():
        return None
    folder = backups.find_folder()
    bases = find_bases(folder)
    newest = bases[-1] if bases else {}
    return BackupStatus(
        folder=str(folder),
        count=len(bases),
        newest=newest.get("stamp"),
        age_seconds=find_age(newest.get("ended_at")),
        bytes=newest.get("bytes"),
        total_bytes=sum(int(each.get("bytes", 0)) for each in bases),
        last=read_outcome(folder),
        drill=_read_state(folder).get("drill"),
        wal=_find_wal(),
    )


def find_disks() -> tuple[Disk, ...]:
    """Return the file system of the backup folder, or () if the stack makes no backups.

    Raises:
        DeployError: A unit is unreadable.
        OSError: The folder does not exist.
    """
    return (disks.measure("backups", str(backups.find_folder())),) if has_backups() else ()


def find_bases(folder: Path) -> list[dict[str, Any]]:
    """Return the metadata of each base backup, oldest first.

    Raises:
        ValueError: A metadata file is malformed.
    """
    base = folder / "base"
    facts = (path for path in sorted(base.glob("*.json")) if path.with_suffix("").is_dir())
    return [json.loads(path.read_text(encoding="utf-8")) for path in facts]


def read_outcome(folder: Path) -> Outcome | None:
    """Return the outcome of the last run, or None before the first.

    Raises:
        ValueError: The state file is malformed.
    """
    found = _read_state(folder).get("backup")
    if found is None:
        return None
    names = {field.name for field in dataclasses.fields(Outcome)}
    return Outcome(**{name: value for name, value in found.items() if name in names})


def _read_state(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def find_age(time: str | None) -> int | None:
    """Return the seconds since an ISO 8601 time, or None if the time is unknown."""
    if time is None:
        return None
    return int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())


def _find_wal() -> WalStatus | None:
    shown = database.query(_LAG)
    if not shown:
        return None
    kept, active, lag = shown.split("|")
    return WalStatus(active == "t", kept, int(lag) if lag else None)
