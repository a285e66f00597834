"""Backups as an optional part of the stack: units, folder and replication slot.

The programs that make backups are in the database's image (`containers/db`). The backup folder is
outside of Podman's volumes; both the user and the container's group can write to it.
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
"""Units that mount the folder."""

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
# Metrics export these settings, and an alert reports those that are too old.
_FORGET_OUTCOMES = """DO $$
DECLARE setting record;
BEGIN
    FOR setting IN
        SELECT rolname, split_part(option, '=', 1) AS name
        FROM pg_roles CROSS JOIN unnest(rolconfig) AS option
        WHERE option LIKE 'todo.backup%' OR option LIKE 'todo.drill%'
    LOOP
        EXECUTE format('ALTER ROLE %I RESET %s', setting.rolname, setting.name);
    END LOOP;
END $$"""


@dataclasses.dataclass(frozen=True)
class Request:
    """Options of a command for backups.

    Attributes:
        wanted: Whether the stack makes backups; None keeps the current choice.
        folder: Backup folder; None keeps the current one.
    """

    wanted: bool | None = None
    folder: Path | None = None

    def applies(self) -> bool:
        """Return whether the stack makes backups after the command."""
        return has_backups() if self.wanted is None else self.wanted


UNCHANGED = Request()


def check_folder(path: Path) -> Path:
    """Return the path, or raise DeployError if it contains characters that are special in units."""
    if not _SAFE.fullmatch(str(path)):
        raise DeployError(
            f"the path of the folder {path} has characters that a unit cannot contain",
            hint="use an absolute path of letters, digits and _ . / @ + -",
            code=ExitCode.USAGE,
        )
    return path


def find_units(request: Request) -> dict[str, str]:
    """Return the units of backups to install, or {} if backups are off."""
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
    """Render the drop-in that mounts another folder, from the text of the container's unit."""
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
    """Return the backup folder of the shipped units."""
    return Path.home() / _DEFAULT


def find_folder() -> Path:
    """Return the backup folder of the installed units, including the user's drop-ins.

    Raises:
        DeployError: Backups are not installed, or a drop-in removes the folder.
    """
    refuse_absent()
    folder = _parse_folder(definition.load(CONTAINERS[0]))
    if folder is not None:
        return folder
    message = f"{CONTAINERS[0]} mounts no folder at {TARGET}"
    hint = f"correct your drop-in, or run {command_hints.build('up --backup --backup-folder DIR')}"
    raise DeployError(message, hint=hint, code=ExitCode.DATA)


def find_left() -> list[Path]:
    """Return the existing backup folders: the configured and the default one."""
    shipped = install.shipped(backup=True)[CONTAINERS[0]]
    configured = None
    # A malformed drop-in must not prevent an uninstallation.
    with contextlib.suppress(DeployError):
        # The user's drop-ins may still exist after the units were removed.
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
    """Raise DeployError if the stack makes no backups."""
    if not has_backups():
        raise DeployError(
            "backups are not set up in this stack",
            hint=command_hints.build("up --backup"),
            code=ExitCode.CONFIG,
        )


def make_folder() -> None:
    """Create the backup folder, writable by this user and the container's group.

    Raises:
        DeployError: The folder cannot be created, or its file system does not store owners.
    """
    folder = find_folder()
    container = load_contract(backup=True).container(CONTAINERS[0].removesuffix(".container"))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # `chown` runs in the user namespace, where the container's group has this ID.
        owner = f"0:{container.gid}"
        process.run(["podman", "unshare", "chown", owner, str(folder)], timeout_s=_TIMEOUT_S)
        folder.chmod(_MODE)
    except OSError as error:
        message = f"cannot create the backup folder {folder}: {error.strerror}"
        raise DeployError(message, hint="name another one with --backup-folder") from None


def save_settings() -> None:
    """Write the settings that a restore needs to the backup folder; each backup includes them.

    They consist of the units with the user's drop-ins, the images, and the images' packages.

    Raises:
        DeployError: The folder is not writable.
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
    """Start the WAL receiver and the timers.

    Raises:
        DeployError: A unit did not start; the backend works without it.
    """
    with progress.step("Starting the backups") as step:
        startup.run_job("start", WAL, step)
        systemd.systemctl("enable", "--quiet", "--now", BACKUP_TIMER, DRILL_TIMER)


def stop() -> None:
    """Stop the units of backups before they are removed."""
    if WAL in find_services():
        timers = (BACKUP_TIMER, DRILL_TIMER)
        systemd.systemctl("disable", "--quiet", "--now", *timers, check=False)
        systemd.systemctl("stop", BACKUP, DRILL, DRILL_DB, WAL)


def remove_from_database() -> None:
    """Drop the replication slot with its WAL, and the last outcomes; keep the backup folder.

    If the database is down, only report that it keeps WAL.

    Raises:
        DeployError: The statement failed.
    """
    if not systemd.is_active(DB):
        up = command_hints.build("up --no-backup")
        progress.say(f"The database keeps WAL for the receiver, 1 GB at most, until {up}.")
        return
    database.query(*_DROP_SLOT, _FORGET_OUTCOMES)
