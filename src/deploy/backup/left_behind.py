"""Records of a volume that a backup contains and that the stack leaves for a former volume.

The base backups and the WAL since the last switch are of the volume that is left. The former one
does not know of them, so a restore must not continue with them. They are moved, not removed.

Times are in the form of the stamps of base backups, `20261130T031500Z` in UTC.
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
    """Remember that the stack uses another volume from a time on.

    Args:
        state: The state folder.
        at: The time.
    """
    atomic_write.write_text(state / _RECORD, f"{at}\n")


def find_switch(state: Path) -> str:
    """Return the time of the last switch; empty before the first."""
    try:
        return (state / _RECORD).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def make_stamp() -> str:
    """Return the time now."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def move(folder: Path, until: str, since: str = "") -> Path:
    """Move base backups and the WAL into a folder beside them; returns that.

    A move that was interrupted is completed by another one with the same arguments, even if the
    next volume has backups by then. The newest base backup goes last: as long as it is there, no
    backup of another database is made.

    Args:
        folder: The backup folder.
        until: A time; what is from then on stays. The folder is named by it.
        since: Another time; empty for all, and for WAL from before gaps too.

    Raises:
        ToolError: They cannot be moved.
    """
    left = folder / f"left.{until}"
    _unshare("mkdir", "--parents", str(left / "base"), str(left / "files"))
    if (folder / "wal").exists() and not (left / "wal").exists():
        _unshare("mv", str(folder / "wal"), str(left))
    if (left / "wal").exists():
        # The slot of the former volume continues where it was.
        _unshare("mkdir", "--parents", "--mode=755", str(folder / "wal"))
        _unshare("chown", f"--reference={left / 'wal'}", str(folder / "wal"))
    gaps = [] if since else folder.glob("wal.*Z")
    _move((path for path in gaps if path.name.removeprefix("wal.") < until), left)
    base = folder / "base"
    stamps = find_between((path.name for path in base.glob("*")), since, until)
    # Only the account of the containers may read it. The folder may be a symbolic link.
    listing = ("-mindepth", "2", "-maxdepth", "2", "-path", f"{folder}/files/*")
    files = _unshare("find", "-H", str(folder), *listing).splitlines()
    _move((path for path in files if path.rpartition("/")[2] in stamps), left / "files")
    for stamp in stamps:
        # Its folder last: without that, the next backup would remove the rest.
        _move(sorted(base.glob(f"{stamp}*"), reverse=True), left / "base")
    return left


def find_between(names: Iterable[str], since: str, until: str) -> list[str]:
    """The stamps of base backups from a time on and before another, by the names of their files."""
    stamps = {match[0] for name in names if (match := _STAMP.match(name))}
    return sorted(stamp for stamp in stamps if since <= stamp < until)


def _move(paths: Iterable[object], to: Path) -> None:
    found = [str(path) for path in paths]
    if found:
        _unshare("mv", *found, str(to))


def _unshare(*argv: str) -> str:
    return process.run(["podman", "unshare", *argv], timeout_s=_TIMEOUT_S).stdout
