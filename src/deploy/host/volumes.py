"""Size and age of a user's data in Podman volumes and folders."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0


@dataclasses.dataclass(frozen=True)
class Volume:
    """Volume or folder with its disk usage in bytes and its creation time in seconds since 1970."""

    name: str
    size_bytes: int
    created_at: float


def scan(folder: Path) -> list[Volume]:
    """Return the nonempty volumes in a Podman storage's folder `volumes`, which may be missing."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        size = _disk_usage(path / "_data")
        if size:
            # Its mtime is its creation time, because only `_data` is ever created in it.
            found.append(Volume(path.name, size, path.stat().st_mtime))
    return found


def measure(folder: Path) -> Volume | None:
    """Return a folder's size and the age of its oldest file; None if it is missing or empty."""
    size = _disk_usage(folder) if folder.is_dir() else 0
    if not size:
        return None
    oldest = time.time()
    for path in folder.rglob("*"):
        # A program that uses the folder may remove a file at the same time.
        with contextlib.suppress(FileNotFoundError):
            oldest = min(oldest, path.lstat().st_mtime)
    return Volume(folder.name, size, oldest)


def describe(volumes: Sequence[Volume], now: float | None = None) -> str:
    """Return the volumes with sizes and ages, as in "todo-data (47 MB, 3 days old)"."""
    moment = time.time() if now is None else now
    return ", ".join(
        f"{one.name} ({_size(one.size_bytes)}, {_age(moment - one.created_at)} old)"
        for one in volumes
    )


def _disk_usage(folder: Path) -> int:
    """Return the disk usage of a folder in bytes; sockets and empty files count as 0."""
    total = 0
    for _, _, names, descriptor in os.fwalk(folder):
        for name in names:
            # A program that uses the folder may remove a file at the same time.
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                total += status.st_blocks * 512 if status.st_size else 0
    return total


def _size(size_bytes: int) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.3g} {name}"
    return f"{size_bytes / 1e3:.0f} kB"


def _age(seconds: float) -> str:
    for unit, name in ((_DAY_S, "day"), (_HOUR_S, "hour"), (_MINUTE_S, "minute")):
        if seconds >= unit:
            number = int(seconds / unit)
            return f"{number} {name}{'' if number == 1 else 's'}"
    return "less than a minute"
