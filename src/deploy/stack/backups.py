"""Backups as an optional part of the stack: their units, their folder, and the slot for WAL.

What makes a backup is in the image of the database (`containers/db`). The folder is one of the
user, outside of Podman's volumes, and belongs to the group of the container's account as well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import command_hints, process, progress
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import database, definition, images, install, startup, systemd
from deploy.stack.services import (
    BACKUP,
    BACKUP_TIMER,
    DB,
    DRILL,
    DRILL_DB,
    DRILL_TIMER,
    WAL,
    find_services,
    has_backups,
)
from deploy.units.loader import BACKUP_UNITS, load_contract

if TYPE_CHECKING:
    from deploy.units.parser import Unit

TARGET = "/backup"
"""Mount point of the folder in the containers."""

CONTAINERS = tuple(name for name in BACKUP_UNITS if name.endswith(".container"))
"""The units that mount the folder."""

FOLDER_DROPIN = "50-folder.conf"
_DEFAULT = ".local/share/todo-backend/backup"
_SETTINGS = "settings"
_SAFE = re.compile(r"/[A-Za-z0-9_./@+-]+")
_MODE = 0o770
_TIMEOUT_S = 600.0
_SLOT = "FROM pg_replication_slots WHERE slot_name = 'todo_wal'"
_DROP_SLOT = (
    f"SELECT pg_terminate_backend(active_pid, 60000) {_SLOT} AND active_pid IS NOT NULL",
    f"SELECT pg_drop_replication_slot(slot_name) {_SLOT}",
)


@dataclasses.dataclass(frozen=True)
class Request:
    """Request of a command about backups.

    Attributes:
        wanted: Whether the stack shall make them; None leaves it as it is.
        folder: The folder in place of the present one; None keeps that.
    """

    wanted: bool | None = None
    folder: Path | None = None

    def applies(self) -> bool:
        """Return whether the stack makes backups afterwards."""
        return has_backups() if self.wanted is None else self.wanted


UNCHANGED = Request()


def check_folder(path: Path) -> Path:
    """Refuse a folder that a unit cannot name; nothing has changed by then.

    Raises:
        DeployError: It has characters with a meaning of their own in a unit.
    """
    if not _SAFE.fullmatch(str(path)):
        raise DeployError(
            f"the path of the folder {path} has characters that a unit cannot contain",
            hint="use an absolute path of letters, digits and _ . / @ + -",
            code=ExitCode.USAGE,
        )
    return path


def find_units(request: Request) -> dict[str, str]:
    """Return the units of backups to install; none if backups are off.

    Args:
        request: The user's choice; without one, the installed units stay.
    """
    if not request.applies():
        return {}
    units = install.shipped(backup=True)
    found = {name: units[name] for name in BACKUP_UNITS}
    for container in CONTAINERS:
        dropin = f"{container}.d/{FOLDER_DROPIN}"
        shipped = units[container]
        text = (
            render_dropin(request.folder, shipped)
            if request.folder
            else install.installed_text(dropin)
        )
        if text:
            found[dropin] = text
    return found


def render_dropin(folder: Path, shipped: str) -> str:
    """Return the drop-in of a container for another folder.

    Args:
        folder: The folder.
        shipped: The text of its unit.
    """
    mounts = [line for line in shipped.splitlines() if line.startswith("Volume=")]
    at = f":{TARGET}:"
    return "\n".join(
        [
            "# Written by `build.py up --backup --backup-folder`; `up --no-backup` removes it.",
            "[Container]",
            "# An empty assignment drops the unit's own mounts.",
            "Volume=",
            *(
                f"Volume={folder}{at}{line.partition(at)[2]}" if at in line else line
                for line in mounts
            ),
            "",
        ]
    )


def default_folder() -> Path:
    """Return the folder of the shipped units."""
    return Path.home() / _DEFAULT


def find_folder() -> Path:
    """Return the folder of the installed units, with the user's own drop-ins.

    Raises:
        DeployError: Backups are not installed, or a drop-in took the folder away.
    """
    refuse_absent()
    folder = _parse_folder(definition.load(CONTAINERS[0]))
    if folder is not None:
        return folder
    message = f"{CONTAINERS[0]} mounts no folder at {TARGET}"
    hint = f"correct your drop-in, or run {command_hints.build('up --backup --backup-folder DIR')}"
    raise DeployError(message, hint=hint, code=ExitCode.DATA)


def find_left() -> list[Path]:
    """The folders that may hold backups, installed or not: the configured one and the default."""
    shipped = install.shipped(backup=True)[CONTAINERS[0]]
    configured = None
    # A malformed drop-in prevents nothing.
    with contextlib.suppress(DeployError):
        # Also without the units: drop-ins of the user stay.
        configured = _parse_folder(definition.load(CONTAINERS[0], shipped))
    folders = dict.fromkeys((configured, default_folder()))
    return [folder for folder in folders if folder is not None and folder.exists()]


def _parse_folder(unit: Unit) -> Path | None:
    for mount in unit.find_all("Container", "Volume"):
        source, _, rest = mount.value.partition(":")
        if rest.partition(":")[0] == TARGET:
            return Path(source.replace("%h", str(Path.home())))
    return None


def refuse_absent() -> None:
    """Refuse where the stack makes no backups.

    Raises:
        DeployError: The units are not installed.
    """
    if not has_backups():
        raise DeployError(
            "backups are not set up in this stack",
            hint=command_hints.build("up --backup"),
            code=ExitCode.CONFIG,
        )


def make_folder() -> None:
    """Make the folder of the installed units, for this user and the container's account.

    Raises:
        DeployError: It cannot be made, or its file system has no owners.
    """
    folder = find_folder()
    container = load_contract(backup=True).container(CONTAINERS[0].removesuffix(".container"))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The group that this user has under that number in the containers.
        owner = f"0:{container.gid}"
        process.run(["podman", "unshare", "chown", owner, str(folder)], timeout_s=_TIMEOUT_S)
        folder.chmod(_MODE)
    except OSError as error:
        message = f"cannot create the backup folder {folder}: {error.strerror}"
        raise DeployError(message, hint="name another one with --backup-folder") from None


def save_settings() -> None:
    """Put what a restore needs besides the database into the folder; each backup copies it.

    These are the units with the user's drop-ins, the images, and the packages that they consist of.

    Raises:
        DeployError: The folder cannot be written.
    """
    folder = find_folder()
    new, final = folder / f".{_SETTINGS}.new", folder / _SETTINGS
    try:
        shutil.rmtree(new, ignore_errors=True)
        for name in install.shipped(ai=True, backup=True):
            for path in definition.find_files(name):
                target = new / "units" / path.relative_to(path.anchor)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        (new / "packages").mkdir(parents=True, exist_ok=True)
        for path in build.record_dir().glob("*.json"):
            shutil.copyfile(path, new / "packages" / path.name)
        named = [dataclasses.asdict(image) for image in images.find()]
        (new / "images.json").write_text(f"{json.dumps(named, indent=1)}\n", encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        new.rename(final)
    except OSError as error:
        message = f"cannot write the settings to {folder}: {error.strerror}"
        raise DeployError(
            message, hint="free some space, or check the owner of the folder"
        ) from None


def start() -> None:
    """Start the receiver of WAL and the timer.

    Raises:
        DeployError: One did not start; the backend serves without it.
    """
    with progress.step("Starting the backups") as step:
        startup.run_job("start", WAL, step)
        systemd.systemctl("enable", "--quiet", "--now", BACKUP_TIMER, DRILL_TIMER)


def stop() -> None:
    """Stop all of it, before its units go."""
    if WAL in find_services():
        timers = (BACKUP_TIMER, DRILL_TIMER)
        systemd.systemctl("disable", "--quiet", "--now", *timers, check=False)
        systemd.systemctl("stop", BACKUP, DRILL, DRILL_DB, WAL)


def remove_slot() -> None:
    """Drop the replication slot, with the WAL that is not received yet; the folder stays.

    Raises:
        DeployError: The server did not do it.
    """
    if not systemd.is_active(DB):
        up = command_hints.build("up --no-backup")
        progress.say(f"The database keeps WAL for the receiver, 1 GB at most, until {up}.")
        return
    database.query(*_DROP_SLOT)
