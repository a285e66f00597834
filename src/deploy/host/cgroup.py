"""Control groups of labs, for hosts whose systemd does not provide them.

If two labs shared a group, the systemd of one would see and stop the services of the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

WANTED = frozenset({"cpu", "memory", "pids"})
"""Controllers that Podman needs for its limits."""

_MOUNTS = Path("/proc/self/mountinfo")


def hierarchies(mountinfo: str) -> list[Path]:
    """Return the mount points of cgroup2 and `name=systemd` in the text of /proc/self/mountinfo."""
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
    """Move this process into the control group of a lab, creating it if it is missing."""
    for mount in hierarchies(_MOUNTS.read_text()):
        folder = mount / _name(lab)
        folder.mkdir(exist_ok=True)
        _offer(mount)
        (folder / "cgroup.procs").write_text("0")


def leave() -> None:
    """Move this process to the root of the hierarchy, so that its group can be removed."""
    for mount in hierarchies(_MOUNTS.read_text()):
        with contextlib.suppress(OSError):
            (mount / "cgroup.procs").write_text("0")


def remove(lab: Path) -> None:
    """Kill the processes of a lab (cgroup v2 only), and remove its control groups."""
    for mount in hierarchies(_MOUNTS.read_text()):
        folder = mount / _name(lab)
        if folder.is_dir():
            _empty(folder)
            for path, _, _ in os.walk(folder, topdown=False):
                _remove_folder(Path(path))


def _name(lab: Path) -> str:
    # Labs in different state folders may have the same name.
    digest = hashlib.sha256(bytes(lab)).hexdigest()
    return f"todo-lab-{lab.name}-{digest[:8]}"


def _offer(mount: Path) -> None:
    """Enable the root's controllers for the groups below it."""
    offered = mount / "cgroup.subtree_control"
    if offered.exists():
        for controller in WANTED & controllers():
            # This fails in a container whose root group contains processes; labs do not need it.
            with contextlib.suppress(OSError):
                offered.write_text(f"+{controller}")


def _empty(folder: Path) -> None:
    kill = folder / "cgroup.kill"
    if kill.exists():
        kill.write_text("1")


def _remove_folder(folder: Path) -> None:
    """Remove one group; wait up to ten seconds for its last process to exit."""
    for _ in range(200):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
