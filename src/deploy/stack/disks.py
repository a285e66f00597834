"""File systems with the stack's data, and their free space."""

from __future__ import annotations

import dataclasses
import os

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.stack import data_volume

_TIMEOUT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Disk:
    """A file system with data of the stack, and the space that is available to this user.

    `free_inodes` is None if the file system has no limit.
    """

    holds: str
    path: str
    total_bytes: int
    free_bytes: int
    free_inodes: int | None


def find() -> tuple[Disk, ...]:
    """Return the file system of the database's volume.

    Raises:
        DeployError: The volume does not exist, or Podman cannot be run.
    """
    volume = data_volume.find_name()
    inspect = ["podman", "volume", "inspect", "--format={{.Mountpoint}}", volume]
    path = process.run(inspect, timeout_s=_TIMEOUT_S).stdout.strip()
    # The folder is accessible only inside the user namespace.
    stat = ["podman", "unshare", "stat", "--file-system", "--format=%S %b %a %c %d", path]
    shown = process.run(stat, timeout_s=_TIMEOUT_S).stdout
    try:
        size, blocks, free, files, free_files = map(int, shown.split())
    except ValueError:
        message = f"stat of {path} prints {shown.strip() or 'nothing'}"
        raise DeployError(message, code=ExitCode.UNAVAILABLE) from None
    return (
        Disk(volume, path, blocks * size, free * size, free_inodes=free_files if files else None),
    )


def measure(holds: str, path: str) -> Disk:
    """Return the file system of a path that this user can access.

    Raises:
        OSError: The path does not exist.
    """
    found = os.statvfs(path)
    return Disk(
        holds,
        path,
        total_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bavail * found.f_frsize,
        free_inodes=found.f_favail if found.f_files else None,
    )
