"""Preflight checks of an update; each raises a DeployError on failure and changes nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deploy import command_hints
from deploy.errors import DeployError, ExitCode
from deploy.stack import (
    backup_status,
    definition,
    disks,
    install,
    management,
    ports,
    status,
    systemd,
    update_state,
)
from deploy.stack.services import BACKEND, file_of, find_instances, has_backups, number_of
from deploy.update import images

if TYPE_CHECKING:
    from deploy.stack.backup_status import BackupStatus
    from deploy.update.program import Schemas

_GIB = 1024**3
_MIN_FREE = _GIB
"""Minimum free space; an image needs a quarter of that, and the layers of a build a bit more."""
_HOUR_S = 3600
_MAX_BACKUP_S = 48 * _HOUR_S
"""Maximum age of the last backup: twice the interval of backups, as for drills below."""
_MAX_DRILL_S = 14 * 24 * _HOUR_S
_DAYS = "not within the last {} days"


@dataclasses.dataclass(frozen=True)
class Running:
    """Schema revisions that the running program reports.

    Attributes:
        schema: Revision that the program expects.
        database_schema: Revision of the database.
        oldest_program: Oldest program that works with the database; empty if unknown.
    """

    schema: str
    database_schema: str
    oldest_program: str


def check_stack() -> None:
    """Require that all instances are ready, because the candidate is compared with them."""
    if not install.is_installed():
        raise _refused("the stack is not installed", command_hints.build("up"))
    install.refuse_edited()
    waiting = [(unit, status.check(unit)) for unit in find_instances()]
    for unit, now in waiting:
        if not now.ready:
            hint = f"see {command_hints.build('status')}"
            raise _refused(f"{unit} is not ready: {now.reason}", hint)


def check_units() -> None:
    """Require that the units use `latest`, the only tag that updates move."""
    for unit in find_instances():
        image = definition.load(file_of(unit)).get("Container", "Image")
        if image.value != images.LATEST:
            raise _refused(
                f"{unit} has the image {image.value}, and an update only changes {images.LATEST}",
                f"remove the line from {image.place}",
            )


def check_disk() -> None:
    """Require enough disk space for a second image."""
    for disk in disks.find():
        if disk.free_bytes < _MIN_FREE:
            free = f"{disk.free_bytes / _GIB:.1f} GiB are free"
            raise DeployError(
                f"{free} on the disk of {disk.path}, and an update needs {_MIN_FREE / _GIB:.0f}",
                hint="free some space",
                code=ExitCode.NO_SPACE,
            )


def check_refused(*, digest: str = "", inputs: str = "") -> None:
    """Reject an image that failed in an earlier update, by its own digest or that of its inputs."""
    for each in update_state.find_refused():
        if each.image.digest == digest or (inputs and each.image.inputs == inputs):
            again = command_hints.build("update --retry-refused")
            raise _refused(
                f"{each.image.reference} was refused on {each.at[:16]}: {each.reason}",
                f"{again} retries it",
            )


def check_schemas(candidate: Schemas, running: Running, *, migrates: bool) -> None:
    """Require that the candidate and its migration are compatible with the database."""
    found, oldest = running.database_schema, running.oldest_program
    if found not in candidate.known and not (oldest and oldest <= candidate.expected < found):
        needed = oldest or found
        raise _refused(
            f"the database has schema {found}, which needs a program for {needed} or later; the "
            f"image's program is for {candidate.expected}",
            "choose a newer image, or restore a backup from before that schema",
        )
    if not migrates and found in candidate.known and found != candidate.expected:
        raise _refused(
            f"the database has schema {found}, and the image's program needs {candidate.expected}",
            f"update to it: {command_hints.build('update --image REFERENCE')}",
        )
    if found in candidate.known and found != candidate.expected:
        _refuse_contract(candidate, running)


def _refuse_contract(candidate: Schemas, running: Running) -> None:
    """Refuse a migration that breaks programs which work with the database now."""
    needed, oldest = candidate.oldest_program, running.oldest_program
    ends = f"its migration to {candidate.expected} drops support for programs older than {needed}"
    contract = command_hints.build("contract")
    if needed > running.schema:
        raise _refused(
            f"{ends}, but the running program is for {running.schema}",
            f"update to a version for {needed} first, then {contract}"
            if oldest
            else f"update with a restart, after a backup: {command_hints.build('up')}",
        )
    if oldest and needed > oldest:
        raise _refused(
            f"{ends}, and the database still works with programs from {oldest} on",
            f"{contract} ends these, where nothing needs them; then update again",
        )


def find_running_schemas() -> Running | None:
    """Return the schemas that the first instance reports, or None if it does not respond."""
    address = ports.find_management(number_of(BACKEND))
    if address is None or not systemd.is_active(BACKEND):
        return None
    try:
        figures = management.fetch_figures(address)
    except DeployError:
        return None
    return Running(figures.schema, figures.database_schema or "", figures.oldest_program or "")


def check_backups(without: str = "update --without-backup-check") -> None:
    """Require a recent backup and drill if backups are enabled; the hint names `without`."""
    if has_backups():
        found = backup_status.find()
        problem = find_backup_problem(found) if found else ""
        if problem:
            raise _refused(problem, f"{command_hints.build(without)} skips this check")


def find_backup_problem(found: BackupStatus) -> str:
    """Return why the backups are not reliable; empty if they are."""
    if found.last is not None and not found.last.ok:
        return f"the last backup failed: {found.last.reason}"
    if found.age_seconds is None or found.age_seconds > _MAX_BACKUP_S:
        return f"there is no backup of the last 2 days: {command_hints.build('backup')} makes one"
    drill = command_hints.build("drill")
    if found.drill is None:
        return f"no drill has shown that the backup is complete: {drill} does one"
    if not found.drill.get("ok"):
        return f"the last drill failed: {found.drill.get('reason')}"
    age_s = backup_status.find_age(found.drill.get("at"))
    if age_s is None or age_s > _MAX_DRILL_S:
        return f"there is no drill of the last 2 weeks: {drill} does one"
    return ""


def _refused(message: str, hint: str) -> DeployError:
    return DeployError(message, hint=hint, code=ExitCode.REFUSED)
