"""Users of this machine who have installed the stack, for commands that root runs."""

from __future__ import annotations

import os
import pwd
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import user_session
from deploy.paths import REPO
from deploy.stack.services import SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINGERING = Path("/var/lib/systemd/linger")
_UNIT = Path(".config/systemd/user") / SOCKET


def find_owners() -> list[str]:
    """Return the names of the users with an installed stack, the caller of sudo first."""
    return [
        entry.pw_name
        for entry in dict.fromkeys(_find_candidates())
        if entry.pw_uid != 0 and (Path(entry.pw_dir) / _UNIT).exists()
    ]


def render_hint(owner: str, words: Sequence[str]) -> str:
    """Render the commands for root to run `build.py` as a user, and to manage the user's units."""
    build = shlex.join(["sudo", "-u", owner, "python3", str(REPO / "build.py"), *words])
    return f"{build}; its units: systemctl --user -M {owner}@ status todo-backend"


def _find_candidates() -> Iterator[pwd.struct_passwd]:
    """Yield the caller of sudo, lingering users, and users with a running systemd instance."""
    names = [os.environ.get("SUDO_USER", "")]
    if _LINGERING.is_dir():
        names += sorted(path.name for path in _LINGERING.iterdir())
    for name in filter(None, names):
        try:
            yield pwd.getpwnam(name)
        except KeyError:
            continue
    folders = user_session.folder_of(0).parent
    for folder in sorted(folders.iterdir()) if folders.is_dir() else ():
        try:
            yield pwd.getpwuid(int(folder.name))
        except (KeyError, ValueError):
            continue
