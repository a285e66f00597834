"""The part of a backup that is of a volume which the stack leaves for a former one.

The base backups and the WAL since the last switch are of the volume that is left. The former one
does not know of them, so a restore must not continue with them. They are moved, not removed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy import atomic_write, process

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_RECORD = "volume-switched"
_FORM = "%Y%m%dT%H%M%SZ"
_TIMEOUT_S = 3600.0


def record_switch(state: Path) -> None:
    """Remember that the stack uses another volume from now on.

    Args:
        state: The state folder.
    """
    atomic_write.write_text(state / _RECORD, f"{_now()}\n")


def find_switch(state: Path) -> str:
    """The time of the last switch, in the form of the stamps; empty before the first."""
    try:
        return (state / _RECORD).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def move(folder: Path, since: str = "") -> Path:
    """Move base backups from a time on, and the WAL, into a folder beside them; returns that.

    Args:
        folder: The backup folder.
        since: A time in the form of the stamps; empty for all, and for WAL from before gaps too.

    Raises:
        ToolError: They cannot be moved.
    """
    left = folder / f"left.{_now()}"
    stamps = find_since(since, (path.name for path in (folder / "base").glob("*.json")))
    moved = {"base": [str(p) for stamp in stamps for p in (folder / "base").glob(f"{stamp}*")]}
    # Only the account of the containers may read it.
    listing = ("-mindepth", "2", "-maxdepth", "2", "-path", f"{folder}/files/*")
    files = _unshare("find", str(folder), *listing).splitlines()
    moved["files"] = [path for path in files if path.rpartition("/")[2] in stamps]
    for name, paths in moved.items():
        _unshare("mkdir", "--parents", str(left / name))
        if paths:
            _unshare("mv", *paths, str(left / name))
    wal = [folder / "wal", *([] if since else folder.glob("wal.*Z"))]
    _unshare("mv", *(str(path) for path in wal), str(left))
    # The slot of the former volume continues where it was.
    _unshare("mkdir", "--mode=755", str(folder / "wal"))
    _unshare("chown", f"--reference={left / 'wal'}", str(folder / "wal"))
    return left


def find_since(since: str, names: Iterable[str]) -> list[str]:
    """The stamps of base backups from a time on, by the names of their facts."""
    stamps = sorted(name.removesuffix(".json") for name in names)
    return [stamp for stamp in stamps if stamp >= since]


def _now() -> str:
    return datetime.now(UTC).strftime(_FORM)


def _unshare(*argv: str) -> str:
    return process.run(["podman", "unshare", *argv], timeout_s=_TIMEOUT_S).stdout
