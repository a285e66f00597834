"""Files in a backup besides the database: the token secret and the user's drop-ins.

A restore from another machine's backup needs both; with another secret, no token would be valid.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from deploy import atomic_write, process
from deploy.stack import backups, data_volume, install, lifecycle, local_model, ports, postgresql
from deploy.units.loader import AI_DROPIN, INSTANCES_DROPIN, POSTGRESQL_DROPIN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deploy.backup.containers import Account

_TIMEOUT_S = 3600.0
_UNIT_FILE = re.compile(r"/(?:containers/systemd|systemd/user)/(?P<name>[^/]+\.d/[^/]+\.conf)$")
_DEPTH_2 = ("-mindepth", "2", "-maxdepth", "2")
_SECRET = "token-secret"  # noqa: S105 - the name of its file


def take_over(folder: Path, account: Account) -> None:
    """Make the account of the containers the owner of a backup folder from another machine."""
    owner = _unshare("stat", "--format=%u", str(folder / "base")).strip()
    if owner != str(account.uid):
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
        # `base` is last, and `chown` changes a folder after its content. After an interruption,
        # the owner of `base` is therefore still wrong, and the next run repeats the change.
        found.sort(key=lambda path: path.name == "base")
        owners = f"{account.uid}:{account.gid}"
        _unshare("chown", "--recursive", owners, *(str(path) for path in found))
    _unshare("chgrp", str(account.gid), str(folder))
    folder.chmod(0o770)


def bring(folder: Path) -> list[str]:
    """Install the secret and the missing drop-ins from the newest backup; return their names."""
    # A copied backup may lack these files, or the folder may be a symbolic link.
    folders = _unshare("find", "-H", str(folder), *_DEPTH_2, "-type", "d").splitlines()
    found = map(PurePosixPath, folders)
    stamps = [path for path in found if path.parent.name == "files" and path.name[0] != "."]
    if not stamps:
        return []
    files = max(stamps)
    listed = _unshare("find", str(files), "-type", "f").splitlines()
    brought = []
    if str(files / _SECRET) in listed:
        value = _unshare("cat", str(files / _SECRET))
        create = ["podman", "secret", "create", "--replace", lifecycle.SECRET, "-"]
        process.run(create, stdin=value)
        brought.append("the key that signs tokens")
    for path, name in find_dropins(listed):
        target = install.destination(name)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic_write.write_text(target, _unshare("cat", path))
            brought.append(name)
    return brought


def find_dropins(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Return the path and the name (`FOLDER/FILE`) of each drop-in that build.py did not write."""
    ours = {ports.DROPIN, AI_DROPIN, local_model.DROPIN, data_volume.DROPIN, postgresql.HOLD}
    ours |= {POSTGRESQL_DROPIN.format(major=major) for major in postgresql.find_known()}
    ours.add(INSTANCES_DROPIN)
    ours |= {f"{container}.d/{backups.FOLDER_DROPIN}" for container in backups.CONTAINERS}
    found = []
    for path in sorted(paths):
        match = _UNIT_FILE.search(str(PurePosixPath(path)))
        if match and match["name"] not in ours:
            found.append((path, match["name"]))
    return found


def _unshare(*argv: str) -> str:
    """Run a program as root of the containers' user namespace; return its output."""
    return process.run(["podman", "unshare", *argv], timeout_s=_TIMEOUT_S).stdout
