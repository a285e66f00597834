"""Start of updates, rollbacks and recovery: checks preconditions, then runs the steps of `run`."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.image import build as image_build
from deploy.image import builder
from deploy.scan import gate, up_notice
from deploy.scan.report import Severity
from deploy.stack import install, lifecycle, status, up, update_state
from deploy.stack.services import find_instances, has_ai, has_backups
from deploy.stack.update_state import Record, Refusal
from deploy.update import images, preflight, program, run, units
from deploy.update.faults import FaultError
from deploy.update.machine import StackMachine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deploy.stack.update_state import Image
    from deploy.update.program import Schemas

_SCAN_S = 60.0


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of an update.

    Attributes:
        build: Options of the image build.
        image: Existing image to use; None to build one.
        watch_s: Seconds for which the candidate is watched while it serves users.
        retries_refused: Whether to retry an image that failed before.
        checks_backups: Whether to require a recent backup and drill.
        scans: Whether to reject an image with a critical vulnerability.
    """

    build: image_build.Options
    image: str | None = None
    watch_s: float = 20.0
    retries_refused: bool = False
    checks_backups: bool = True
    scans: bool = True


def update(options: Options) -> str:
    """Update the backend, and return a line for the user.

    Raises:
        DeployError: The update failed; if the rollback also failed, the code is `NOT_ROLLED_BACK`.
    """
    recover()
    lifecycle.refuse_absent()
    preflight.check_stack()
    preflight.check_units()
    former = images.get_former()
    images.sweep({former.digest, *(each.image.digest for each in update_state.find_kept())})
    candidate = None
    if options.image:
        # The label with the inputs may be inherited from a base image.
        candidate = dataclasses.replace(images.take(options.image), inputs="")
    if _is_current(former, candidate, options):
        images.point_latest(former)
        return f"already up to date: the stack runs {former.reference}"
    if options.checks_backups:
        preflight.check_backups()
    preflight.check_disk()
    candidate = candidate or _build(options)
    if candidate.digest == former.digest:
        # The rebuilt image is identical, because Debian has no newer packages.
        images.point_latest(former)
        return f"already up to date: the stack runs {former.reference}"
    try:
        schemas = _check(candidate, former, options)
    except DeployError:
        _discard(candidate)
        raise
    shipped = install.shipped()
    record = _make_record(
        update_state.UPDATE, former, candidate, {name: shipped[name] for name in units.SOURCES}
    )
    machine = StackMachine(candidate, former, schemas.seconds)
    run.run(machine, record, watch_s=options.watch_s, migrates=True)
    for line in _find_left(options, schemas):
        progress.say(line)
    return f"updated: the stack runs {candidate.reference}, before {former.reference}"


def rollback(*, to: str | None, refuses: bool, watch_s: float) -> str:
    """Roll back to an image that an update kept, and return a line for the user.

    Args:
        to: Tag of the image; None for the image before the running one.
        refuses: Whether later updates refuse the image that runs now.
        watch_s: Seconds for which the candidate is watched while it serves users.
    """
    recover()
    lifecycle.refuse_absent()
    install.refuse_edited()
    preflight.check_units()
    former = images.get_former()
    kept = _find_kept(former, to)
    if images.find(kept.image.digest) is None:
        raise DeployError(
            f"the image {kept.image.reference} no longer exists",
            hint=f"see {command_hints.build('status')}",
            code=ExitCode.REFUSED,
        )
    images.tag(kept.image)
    schemas = _read_schemas(kept.image, former)
    _check_schemas(schemas, kept.image, former, migrates=False)
    record = _make_record(update_state.ROLLBACK, former, kept.image, kept.units)
    machine = StackMachine(kept.image, former, schemas.seconds)
    run.run(machine, record, watch_s=watch_s, migrates=False)
    if refuses:
        update_state.refuse(Refusal(former, "left by a rollback", (), run.now()))
    return f"rolled back: the stack runs {kept.image.reference}, before {former.reference}"


def recover(*, must_start: bool = True) -> None:
    """Finish or roll back an interrupted update, if there is one.

    If the previous image does not start, raise a DeployError; if `must_start` is false, only warn.
    """
    record = update_state.find_record()
    if record is None:
        return
    if not install.is_installed():
        update_state.remove_record()
        return
    machine = StackMachine(record.candidate, record.former, 0.0)
    progress.say(run.recover(machine, record, must_start=must_start))


def refuse_checkout(*, starts: bool = False) -> None:
    """Raise a DeployError if an update refused this checkout's image.

    With `starts`, first start the installed stack if it is not ready.
    """
    if not install.is_installed() or not update_state.find_refused():
        return
    try:
        preflight.check_refused(inputs=images.find_inputs())
    except DeployError as refusal:
        if not starts or all(status.check(unit).ready for unit in find_instances()):
            raise
        up.start()
        message = f"{refusal.message}; the stack was started as it is installed"
        raise DeployError(message, hint=refusal.hint, code=refusal.code) from None


def _check(candidate: Image, former: Image, options: Options) -> Schemas:
    """Return the schemas that the candidate supports; raise a DeployError if it is unusable."""
    if options.retries_refused:
        update_state.accept(candidate)
    else:
        preflight.check_refused(digest=candidate.digest)
    if options.scans:
        _scan(candidate, options.build.builder)
    schemas = _read_schemas(candidate, former)
    _check_schemas(schemas, candidate, former, migrates=True)
    return schemas


def _check_schemas(schemas: Schemas, candidate: Image, former: Image, *, migrates: bool) -> None:
    running = preflight.find_running_schemas()
    if running is None:
        # The trial of the candidate will show whether it works.
        return
    if not running.oldest_program and running.database_schema != schemas.expected:
        # A running program reports `oldest_program` only for schemas later than its own.
        with contextlib.suppress(FaultError):
            oldest = program.read_schemas(former, candidate).oldest_program
            running = dataclasses.replace(running, oldest_program=oldest)
    preflight.check_schemas(schemas, running, migrates=migrates)


def _discard(candidate: Image) -> None:
    """Remove the tag of an image that was not tried, unless an update keeps it."""
    if candidate.digest not in {each.image.digest for each in update_state.find_kept()}:
        images.remove(candidate)


def _is_current(former: Image, candidate: Image | None, options: Options) -> bool:
    """Return whether the stack already runs the candidate or the image of this checkout."""
    if candidate is not None:
        return candidate.digest == former.digest
    return former.inputs == images.find_inputs() and not options.build.no_cache


def _build(options: Options) -> Image:
    """Return the image of this checkout, built if needed; raise a DeployError if it was refused."""
    inputs = images.find_inputs()
    if options.build.no_cache:
        return images.build(options.build)
    if not options.retries_refused:
        preflight.check_refused(inputs=inputs)
    present = images.find(images.LATEST)
    # `build.py image` may have built it already.
    return (
        images.take(images.LATEST)
        if present and present.inputs == inputs
        else images.build(options.build)
    )


def _find_left(options: Options, schemas: Schemas) -> Iterator[str]:
    """Yield notices about differences that an update does not apply."""
    applied = f"{command_hints.build('up')} applies it, with a restart"
    shipped = install.shipped(ai=has_ai(), backup=has_backups())
    for name, text in shipped.items():
        installed = install.installed_text(name)
        if installed is not None and installed != text and name not in units.SOURCES:
            yield f"{name} of this checkout differs from the installed one; {applied}."
    database = image_build.find("db")
    if not options.image and database and database.inputs != images.find_inputs("db"):
        yield f"The image of the database is older than this checkout; {applied}."
    running = preflight.find_running_schemas()
    # The running program reports `oldest_program` only for schemas later than its own.
    if running and schemas.oldest_contracted > (running.oldest_program or schemas.oldest_program):
        contract = command_hints.build("contract")
        yield f"The database has parts that only earlier versions need; {contract} removes them."


def _find_kept(running: Image, to: str | None) -> update_state.KeptImage:
    kept = [each for each in update_state.find_kept() if each.image.digest != running.digest]
    if to:
        kept = [
            each
            for each in kept
            if to in {each.image.reference, each.image.reference.rpartition(":")[2]}
        ]
    else:
        refused = {each.image.digest for each in update_state.find_refused()}
        kept = [each for each in kept if each.image.digest not in refused]
    if not kept:
        what = f"no update has kept the image {to}" if to else "no update has kept another image"
        names = [each.image.reference for each in update_state.find_kept()]
        hint = (
            f"kept are {', '.join(names)}"
            if names
            else "the first update keeps the image that it replaces"
        )
        raise DeployError(what, hint=hint, code=ExitCode.REFUSED)
    return kept[-1]


def _make_record(kind: str, former: Image, candidate: Image, sources: Mapping[str, str]) -> Record:
    return Record(
        kind, update_state.MIGRATE, former, candidate, install.read_installed(), sources, run.now()
    )


def _read_schemas(candidate: Image, former: Image) -> Schemas:
    """Return the candidate's schemas; refuse the image if its program does not report them."""
    with progress.step("Reading the schemas that the image supports"):
        try:
            return program.read_schemas(candidate, former)
        except FaultError as fault:
            if not fault.of_image:
                raise DeployError(
                    f"{candidate.reference} could not be tried: {fault.reason}",
                    hint=f"see {command_hints.build('doctor')}",
                    code=ExitCode.UNAVAILABLE,
                ) from None
            update_state.refuse(Refusal(candidate, fault.reason, fault.log, run.now()))
            raise DeployError(
                f"{candidate.reference} was refused: {fault.reason}",
                hint=f"see {command_hints.build('status')}",
                code=ExitCode.REFUSED,
            ) from None


def _scan(candidate: Image, named_builder: str | None) -> None:
    """Refuse an image with a critical vulnerability; print a notice if the scan takes too long."""
    critical: list[str] = []

    def search(named: str | None) -> str | None:
        base = named or builder.find()
        if base is None:
            return up_notice.render_unbuilt()
        options = gate.Options(builder=base, brief=True)
        report = gate.judge(gate.read({images.TARGET: candidate.reference}, options), options)
        critical.extend(
            f"{each.package} {each.version}: {each.id}"
            for each in report.findings
            if each.severity is Severity.CRITICAL
        )
        return up_notice.render(report)

    with progress.step("Scanning the image for known vulnerabilities"):
        line = up_notice.find_in_time(named_builder, bound_s=_SCAN_S, search=search)
    if critical:
        raise DeployError(
            f"{candidate.reference} has {len(critical)} critical vulnerabilities, first "
            f"{critical[0]}",
            hint=f"{command_hints.build('update --no-scan')} updates anyway",
            code=ExitCode.REFUSED,
        )
    if line:
        progress.say(line)
