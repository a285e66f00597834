"""Move of a volume's backups when the stack stops using the volume.

The base backups and the WAL since the last switch belong to that volume. They are not continuous
with those of the next volume, so a restore must not combine them. They are moved, not removed.

Times have the format of the stamps of base backups, `20261130T031500Z` in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy import atomic_write, process

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_RECORD = "volume-switched"
_STAMP = re.compile(r"\d{8}T\d{6}Z")
_TIMEOUT_S = 3600.0


def record_switch(state: Path, at: str) -> None:
    """Record in the state folder the time from which the stack uses another volume."""
    atomic_write.write_text(state / _RECORD, f"{at}\n")


def find_switch(state: Path) -> str:
    """Return the time of the last switch from the state folder; empty before the first."""
    try:
        return (state / _RECORD).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def make_stamp() -> str:
    """Return the current time as a stamp."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def move(folder: Path, until: str, since: str = "") -> Path:
    """Move base backups and the WAL into a subfolder of the backup folder, and return it.

    After an interruption, a call with the same arguments completes the move, even if the next
    volume has backups by then. The newest base backup is moved last, because its presence prevents
    backups of another database.

    Args:
        folder: Backup folder.
        until: Time from which backups stay; part of the subfolder's name.
        since: Time from which backups are moved; empty for all, including the WAL before gaps.

    Raises:
        ToolError: The files cannot be moved.
    """
    left = folder / f"left.{until}"
    _unshare("mkdir", "--parents", str(left / "base"), str(left / "files"))
    if (folder / "wal").exists() and not (left / "wal").exists():
        _unshare("mv", str(folder / "wal"), str(left))
    if (left / "wal").exists():
        # The replication slot of the next volume continues from its own position.
        _unshare("mkdir", "--parents", "--mode=755", str(folder / "wal"))
        _unshare("chown", f"--reference={left / 'wal'}", str(folder / "wal"))
    gaps = [] if since else folder.glob("wal.*Z")
    _move((path for path in gaps if path.name.removeprefix("wal.") < until), left)
    base = folder / "base"
    stamps = find_between((path.name for path in base.glob("*")), since, until)
    # Only the account of the containers may read `files`. The folder may be a symbolic link.
    listing = ("-mindepth", "2", "-maxdepth", "2", "-path", f"{folder}/files/*")
    files = _unshare("find", "-H", str(folder), *listing).splitlines()
    _move((path for path in files if path.rpartition("/")[2] in stamps), left / "files")
    for stamp in stamps:
        # The folder is last, because the next backup removes files without their folder.
        _move(sorted(base.glob(f"{stamp}*"), reverse=True), left / "base")
    return left


def find_between(names: Iterable[str], since: str, until: str) -> list[str]:
    """Return the sorted stamps of base backups in [since, until) among the names of files."""
    stamps = {match[0] for name in names if (match := _STAMP.match(name))}
    return sorted(stamp for stamp in stamps if since <= stamp < until)


def _move(paths: Iterable[object], to: Path) -> None:
    found = [str(path) for path in paths]
    if found:
        _unshare("mv", *found, str(to))


def _unshare(*argv: str) -> str:
    return process.run(["podman", "unshare", *argv], timeout_s=_TIMEOUT_S).stdout
