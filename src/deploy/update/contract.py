"""Contract step: removes schema objects that only earlier programs need (ADR 85)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.stack import database, install, lifecycle, systemd, update_state
from deploy.stack.services import DB, find_instances
from deploy.stack.update_state import Record
from deploy.update import begin, images, preflight, program, run, units
from deploy.update.faults import FaultError
from deploy.update.machine import StackMachine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.stack.update_state import Image
    from deploy.update.program import Schemas

_HAS_TABLE = "SELECT to_regclass('public.schema_compatibility') IS NOT NULL"
_STORED = "SELECT oldest_program FROM schema_compatibility"


@dataclasses.dataclass(frozen=True)
class _User:
    """Image that needs parts of the schema which the contract step removes.

    Attributes:
        unit: Instance that runs the image; empty if the image is only kept.
        expected: Schema that its program expects; empty if the program does not run.
    """

    image: Image
    unit: str
    expected: str


def contract(*, drops_images: bool, checks_backups: bool) -> str:
    """Run the contract step of the installed image, and return a line for the user.

    Args:
        drops_images: Whether to remove kept images that do not work afterwards.
        checks_backups: Whether to require a recent backup and drill.

    Raises:
        DeployError: An instance or a kept image needs the old schema (`REFUSED`), or the migration
            failed; nothing was changed.
    """
    begin.recover()
    lifecycle.refuse_absent()
    install.refuse_edited()
    preflight.check_units()
    latest = images.take(images.LATEST)
    schemas = _read_schemas(latest)
    oldest, stored = schemas.oldest_contracted, _find_stored()
    if not stored or oldest <= stored:
        works = f"works with programs from {stored} on" if stored else "has not been migrated yet"
        return f"nothing to do: the schema {works}, and {latest.reference} takes nothing away"
    users = list(_find_users(oldest, latest))
    _refuse_users(users, oldest, drops_images=drops_images)
    if checks_backups:
        preflight.check_backups("contract --without-backup-check")
    _migrate(latest)
    update_state.drop(each.image for each in users)
    for user in users:
        images.remove(user.image)
    if not all(map(systemd.is_active, find_instances())):
        progress.say(f"The backend does not run; {command_hints.build('up')} starts it.")
    return f"contracted: the schema works with programs from {oldest} on, before from {stored} on"


def _find_users(oldest: str, latest: Image) -> Iterator[_User]:
    """Yield the instances, then the kept images, whose program is older than `oldest`."""
    found: dict[str, _User] = {}
    for unit in find_instances():
        image = images.find(images.find_running(unit) or latest.digest)
        if image:
            found.setdefault(image.digest, _User(image, unit, ""))
    for kept in update_state.find_kept():
        # A rollback to an image that was removed by hand is impossible anyway.
        if images.find(kept.image.digest):
            found.setdefault(kept.image.digest, _User(kept.image, "", ""))
    for user in found.values():
        try:
            expected = program.read_schemas(user.image, latest).expected
        except FaultError:
            expected = ""
        if expected < oldest:
            yield dataclasses.replace(user, expected=expected)


def _refuse_users(users: list[_User], oldest: str, *, drops_images: bool) -> None:
    drop = command_hints.build("contract --drop-images")
    for user in users:
        image = user.image.reference
        needs = f"schema {user.expected}" if user.expected else "an unknown schema"
        before = f"the contract step drops support for programs older than schema {oldest}"
        if user.unit:
            raise DeployError(
                f"{before}, but {user.unit} still runs {image}, which needs {needs}",
                hint=f"update the instances first: {command_hints.build('update')}",
                code=ExitCode.REFUSED,
            )
        if not drops_images:
            raise DeployError(
                f"{before}, but {image}, which needs {needs}, is kept for a rollback",
                hint=f"to remove the image and give up rolling back to it: {drop}",
                code=ExitCode.REFUSED,
            )


def _migrate(latest: Image) -> None:
    """Create a restore point, then run the migration in its own unit."""
    installed = install.read_installed()
    sources = units.find_sources(installed)
    record = Record(
        update_state.CONTRACT, update_state.MIGRATE, latest, latest, installed, sources, run.now()
    )
    machine = StackMachine(latest, latest, 0.0)
    update_state.write_record(record)
    try:
        machine.make_restore_point(run.name_point(record))
        machine.install({**record.units, **units.render_migration(record, contracts=True)})
        machine.migrate()
    except FaultError as fault:
        raise DeployError(
            f"the contract step failed, and has changed nothing: {fault.reason}",
            hint=f"see {command_hints.build('logs')}",
        ) from None
    finally:
        machine.install(record.units)
        update_state.remove_record()


def _find_stored() -> str:
    """Return the oldest program that works with the database; empty before revision 0013."""
    if not systemd.is_active(DB):
        hint = f"{command_hints.build('up')} starts it"
        raise DeployError("the database is not running", hint=hint, code=ExitCode.UNAVAILABLE)
    return database.query(_STORED) if database.query(_HAS_TABLE) == "t" else ""


def _read_schemas(image: Image) -> Schemas:
    try:
        return program.read_schemas(image, image)
    except FaultError as fault:
        up = command_hints.build("up")
        raise DeployError(f"{image.reference}: {fault.reason}", hint=f"{up} builds it") from None
