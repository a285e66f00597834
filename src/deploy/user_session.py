"""Environment variables of the user's systemd and D-Bus, for processes without a login session.

Cron, `sudo -u`, `su` and some ssh servers start programs without them, or with those of another
user. Standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNTIME = "XDG_RUNTIME_DIR"
BUS = "DBUS_SESSION_BUS_ADDRESS"

_FOLDERS = Path("/run/user")


def folder_of(uid: int) -> Path:
    """Return the runtime folder of a user."""
    return _FOLDERS / str(uid)


def find_missing(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add or to replace, so that programs reach this user's systemd."""
    uid = os.getuid()
    folder = folder_of(uid)
    if not _is_owned(folder, uid):
        return {}
    found = {}
    given = environ.get(RUNTIME, "")
    if not given or not _is_owned(Path(given), uid):
        found[RUNTIME] = str(folder)
    elif Path(given) != folder:
        # The caller chose another folder (as tests do), and therefore also the bus.
        return {}
    bus = f"unix:path={folder / 'bus'}"
    given = environ.get(BUS, "")
    is_of_another = given.startswith(f"unix:path={_FOLDERS}/") and not given.startswith(bus)
    if (not given or is_of_another or RUNTIME in found) and (folder / "bus").exists():
        found[BUS] = bus
    return found


def _is_owned(folder: Path, uid: int) -> bool:
    try:
        return folder.is_dir() and folder.stat().st_uid == uid
    except OSError:
        return False
