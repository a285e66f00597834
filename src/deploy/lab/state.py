"""State of labs: a locked folder for each running lab.

The supervisor of a lab holds the lock of the folder, and the kernel releases it when the supervisor
exits. A folder without a lock was left behind by a killed supervisor.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import shutil
import time
from typing import TYPE_CHECKING

from deploy import atomic_write, folder_lock
from deploy.errors import DeployError, ExitCode
from deploy.host import cgroup as lab_cgroup
from deploy.paths import labs_dir

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_RECORD = "lab.json"
_REMOVAL_TIMEOUT_S = 30.0


@dataclasses.dataclass(frozen=True)
class Record:
    """Record in the folder of a lab.

    Attributes:
        keeper: Process ID of the supervisor on the host.
        publish: Ports on the lab's loopback by port on the host's loopback.
        checkout: Path of the mounted checkout; empty in records of earlier versions.
    """

    name: str
    keeper: int
    publish: dict[int, int]
    tree: str
    checkout: str = ""


def check_name(name: str) -> str:
    """Return the name; raise DeployError if it is not valid as a host name and a folder name."""
    if not _NAME.fullmatch(name):
        message = f"{name!r} is not a valid lab name"
        hint = "use up to 32 lowercase letters, digits and hyphens"
        raise DeployError(message, hint=hint, code=ExitCode.USAGE)
    return name


def claim(name: str) -> tuple[Path, int]:
    """Create the folder of a new lab; return its path and the descriptor that holds its lock.

    Raises:
        DeployError: A lab with this name is already running, or the name is invalid.
    """
    folder = _labs_dir() / check_name(name)
    with _guarded():
        if folder.exists():
            if is_running(folder):
                message = f"the lab {name!r} is already running"
                hint = (
                    f"open a shell in it (python3 build.py lab shell {name}), or choose another "
                    "name"
                )
                raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
            _remove(folder)
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return folder, descriptor


def sweep() -> None:
    """Remove the folders and control groups of killed supervisors."""
    with _guarded():
        for folder in _labs_dir().iterdir():
            if not is_running(folder):
                _remove(folder)


def discard(folder: Path) -> None:
    """Remove the folder and control groups of a lab, unless it is running or already removed."""
    with _guarded():
        if folder.exists() and not is_running(folder):
            _remove(folder)


def is_running(folder: Path) -> bool:
    """Return whether a process holds the folder's lock."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def write(folder: Path, record: Record) -> None:
    """Store the record of a lab atomically."""
    atomic_write.write_text(folder / _RECORD, json.dumps(dataclasses.asdict(record)))


def find(name: str) -> Record | None:
    """Return the record of a running lab, or None."""
    folder = _labs_dir() / check_name(name)
    if not is_running(folder):
        return None
    try:
        fields = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return None  # still starting
    fields["publish"] = {int(port): inner for port, inner in fields["publish"].items()}
    return Record(**fields)


def records() -> list[Record]:
    """Return the records of all running labs, sorted by name."""
    names = (each.name for each in sorted(_labs_dir().iterdir()))
    found = (find(name) for name in names if _NAME.fullmatch(name))
    return [record for record in found if record is not None]


def folder_of(name: str) -> Path:
    """Return the folder of a lab."""
    return _labs_dir() / check_name(name)


def _labs_dir() -> Path:
    folder = labs_dir()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _remove(folder: Path) -> None:
    lab_cgroup.remove(folder)
    deadline = time.monotonic() + _REMOVAL_TIMEOUT_S
    while time.monotonic() < deadline:
        # The last processes of a killed lab may still be exiting.
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(folder)


def _guarded() -> AbstractContextManager[None]:
    """Return the lock of the folder of all labs, held only to add or remove a lab."""
    return folder_lock.hold(_labs_dir())
