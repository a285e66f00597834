"""Control groups for labs, on hosts whose own systemd does not provide them.

Two labs in one group would share it: the systemd of one would see the services of the other, and
stop them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

WANTED = frozenset({"cpu", "memory", "pids"})
"""The controllers that Podman's limits need."""

_MOUNTS = Path("/proc/self/mountinfo")


def hierarchies(mountinfo: str) -> list[Path]:
    """Return the mount points of the hierarchies that systemd manages.

    That is the unified one, and on a host of the older kind the named one too.

    Args:
        mountinfo: Text of /proc/self/mountinfo.
    """
    found = []
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(mount.split(" ")[4]))
    return found


def controllers() -> frozenset[str]:
    """Return the controllers that the unified hierarchy of this host offers."""
    for mount in hierarchies(_MOUNTS.read_text()):
        listed = mount / "cgroup.controllers"
        if listed.exists():
            return frozenset(listed.read_text().split())
    return frozenset()


def enter(lab: Path) -> None:
    """Move this process into a control group of the lab's own, making it.

    Args:
        lab: The lab's folder: labs of one name may live in two state folders.
    """
    for mount in hierarchies(_MOUNTS.read_text()):
        folder = mount / _name(lab)
        folder.mkdir(exist_ok=True)
        _offer(mount)
        (folder / "cgroup.procs").write_text("0")


def leave() -> None:
    """Move this process back to the top, so that its group can be removed."""
    for mount in hierarchies(_MOUNTS.read_text()):
        with contextlib.suppress(OSError):
            (mount / "cgroup.procs").write_text("0")


def remove(lab: Path) -> None:
    """Remove the control groups of the lab in a folder; processes in them end."""
    for mount in hierarchies(_MOUNTS.read_text()):
        folder = mount / _name(lab)
        if folder.is_dir():
            _empty(folder)
            for path, _, _ in os.walk(folder, topdown=False):
                _remove_folder(Path(path))


def _name(lab: Path) -> str:
    digest = hashlib.sha256(bytes(lab)).hexdigest()
    return f"todo-lab-{lab.name}-{digest[:8]}"


def _offer(mount: Path) -> None:
    """Enable the root's controllers for the groups below it."""
    offered = mount / "cgroup.subtree_control"
    if offered.exists():
        for controller in WANTED & controllers():
            # A container's root group refuses while it holds processes: then do without.
            with contextlib.suppress(OSError):
                offered.write_text(f"+{controller}")


def _empty(folder: Path) -> None:
    kill = folder / "cgroup.kill"
    if kill.exists():
        kill.write_text("1")


def _remove_folder(folder: Path) -> None:
    """Remove one group, giving its last process ten seconds to vanish."""
    for _ in range(200):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
