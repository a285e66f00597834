"""State of labs: the folder of a running lab, and the lock that shows that it runs.

The folder of a lab is locked as long as its supervisor runs; the kernel releases the lock with the
process. A folder without a lock was left by a supervisor that was killed.
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
    """Record of a lab, from its folder.

    Args:
        name: The lab's name.
        keeper: Process id of its keeper, as this host sees it.
        publish: Port on the host's loopback -> port on the lab's loopback.
        tree: The cached root file system below it.
        checkout: The checkout that is bound into it; empty in what a former version wrote.
    """

    name: str
    keeper: int
    publish: dict[int, int]
    tree: str
    checkout: str = ""


def check_name(name: str) -> str:
    """Return the name when it can be a host name and a folder.

    Raises:
        DeployError: It cannot.
    """
    if not _NAME.fullmatch(name):
        message = f"{name!r} is not a valid lab name"
        hint = "use up to 32 lowercase letters, digits and hyphens"
        raise DeployError(message, hint=hint, code=ExitCode.USAGE)
    return name


def claim(name: str) -> tuple[Path, int]:
    """Make and lock the folder of a new lab; it is this one's while the descriptor is open.

    Raises:
        DeployError: A lab of that name is already running, or the name cannot name one.
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
    """Remove what keepers that were killed left behind."""
    with _guarded():
        for folder in _labs_dir().iterdir():
            if not is_running(folder):
                _remove(folder)


def discard(folder: Path) -> None:
    """Remove a lab's folder and control groups; its processes have ended.

    Safe to call more than once.
    """
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
    """Store a lab's record; readers see the whole of it or nothing."""
    atomic_write.write_text(folder / _RECORD, json.dumps(dataclasses.asdict(record)))


def find(name: str) -> Record | None:
    """Return the record of a running lab, or None."""
    folder = _labs_dir() / check_name(name)
    if not is_running(folder):
        return None
    try:
        fields = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return None  # it is still starting
    fields["publish"] = {int(port): inner for port, inner in fields["publish"].items()}
    return Record(**fields)


def records() -> list[Record]:
    """Return the records of all running labs, by name."""
    found = (find(folder.name) for folder in sorted(_labs_dir().iterdir()))
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
        # The last processes of a killed lab may still be on their way out.
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(folder)


def _guarded() -> AbstractContextManager[None]:
    """Hold the lock of the folder of all labs: for the moment of a claim or a removal."""
    return folder_lock.hold(_labs_dir())
