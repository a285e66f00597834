"""Steps of an update or a rollback, and their reversal.

The tag `latest`, which the units use, moves only after the candidate has served users. A record on
disk contains the current step, so that `undo` can roll back after any interruption.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from deploy import command_hints, progress
from deploy.errors import DeployError, ExitCode
from deploy.stack import update_state
from deploy.stack.services import CANDIDATE
from deploy.stack.update_state import (
    FINISH,
    SWITCH,
    TRY,
    UPDATE,
    WATCH,
    KeptImage,
    Outcome,
    Record,
    Refusal,
)
from deploy.update import units
from deploy.update.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.stack.install import Link
    from deploy.stack.update_state import Image

UPDATED, ROLLED_BACK, REFUSED = "updated", "rolled back", "refused"
INTERRUPTED, FAILED = "interrupted", "failed"


class Machine(Protocol):
    """Operations of an update on the stack; `deploy.update.machine` implements them."""

    def install(self, wanted: Mapping[str, str | Link]) -> None:
        """Install unit files and reload systemd."""

    def point_latest(self, image: Image) -> None:
        """Tag an image as `latest`, which the units use."""

    def find_instances(self) -> tuple[str, ...]:
        """Return the instances of the backend."""

    def runs(self, unit: str, image: Image) -> bool:
        """Return whether an instance is active and runs the given image."""

    def serves(self) -> bool:
        """Return whether any instance is ready."""

    def open_sockets(self) -> None:
        """Start the sockets of the stack, if they are not active."""

    def make_restore_point(self, name: str) -> None:
        """Create a restore point in the WAL; raise a DeployError on failure."""

    def migrate(self) -> None:
        """Run the candidate's migration; raise a FaultError, without any change, on failure."""

    def start_candidate(self) -> None:
        """Start or restart the candidate; raise a FaultError if it does not become ready."""

    def stop_candidate(self) -> None:
        """Stop the candidate, if it is running."""

    def try_requests(self) -> None:
        """Send test requests to the candidate; raise a FaultError if its responses are worse."""

    def watch(self, unit: str, seconds: float | None = None) -> None:
        """Watch an instance and the candidate; raise a FaultError if they are worse than others."""

    def replace(self, unit: str) -> None:
        """Restart an instance; raise a FaultError if it does not become ready."""

    def restore(self, unit: str) -> None:
        """Restart an instance with the previous image; raise a DeployError on failure."""

    def finish(self) -> None:
        """Write the records of the image that runs now."""

    def discard(self, unwanted: Sequence[Image]) -> None:
        """Remove images that are no longer kept."""


def run(machine: Machine, record: Record, *, watch_s: float, migrates: bool) -> None:
    """Run an update or a rollback.

    Args:
        machine: Stack to update.
        record: Record of the update.
        watch_s: Seconds for which the candidate is watched while it serves users.
        migrates: Whether to run the candidate's migration first.

    Raises:
        DeployError: The stack runs the previous image: the new one was rejected before it served
            users (`REFUSED`), or the update was rolled back (`ROLLED_BACK`). If the rollback
            failed as well, the code is `NOT_ROLLED_BACK`.
    """
    _enter(record)
    # The stack may be down before a rollback; to save time, the candidate is not watched then.
    serves = machine.serves()
    try:
        # A manual build may have moved the tag.
        machine.point_latest(record.former)
        if migrates:
            machine.make_restore_point(name_point(record))
            machine.install({**record.units, **units.render_migration(record)})
            machine.migrate()
        for step in (TRY, WATCH) if serves else (TRY,):
            record = _enter(dataclasses.replace(record, step=step))
            candidate = units.render_candidate(record, shared=step == WATCH)
            machine.stop_candidate()
            machine.install({**record.units, **candidate})
            machine.start_candidate()
            machine.try_requests()
        if serves:
            machine.watch(CANDIDATE, watch_s)
        record = _enter(dataclasses.replace(record, step=SWITCH))
        machine.point_latest(record.candidate)
        machine.install({**units.render_sources(record), **candidate})
        machine.open_sockets()
        for unit in machine.find_instances():
            machine.replace(unit)
            machine.watch(unit)
    except FaultError as fault:
        raise _fail(machine, record, fault) from None
    except BaseException as error:
        undo(machine, record)
        _discard(machine, record)
        _end(record, FAILED, str(error) or "interrupted")
        raise
    finish(machine, _enter(dataclasses.replace(record, step=FINISH)))


def finish(machine: Machine, record: Record) -> None:
    """Finish an update after all instances run the candidate's image."""
    machine.stop_candidate()
    machine.install(units.render_sources(record))
    machine.finish()
    left = update_state.keep(
        KeptImage(record.former, units.find_sources(record.units)),
        KeptImage(record.candidate, record.sources),
    )
    machine.discard([each.image for each in left])
    # An image with the same inputs but older Debian packages may have been refused before.
    update_state.accept(record.candidate)
    _end(record, UPDATED, "")


def undo(
    machine: Machine, record: Record, *, candidate_serves: bool = True, must_start: bool = True
) -> None:
    """Roll back an update from any of its steps.

    Unless `candidate_serves` is false, the candidate may serve until the instances do. If the
    previous image does not start, only warn if `must_start` is false; otherwise raise a DeployError
    and keep the record.
    """
    candidate: Mapping[str, str | Link] = {}
    if candidate_serves and record.step in {SWITCH, FINISH}:
        candidate = units.render_candidate(record, shared=True)
    else:
        machine.stop_candidate()
    machine.point_latest(record.former)
    machine.install({**record.units, **candidate})
    try:
        for unit in machine.find_instances():
            if not machine.runs(unit, record.former):
                machine.restore(unit)
    except DeployError as error:
        if not must_start:
            progress.say(f"Warning: {error.message}")
            machine.stop_candidate()
            machine.install(record.units)
            return
        raise DeployError(
            f"the return to {record.former.reference} failed: {error.message}",
            hint=error.hint or f"see {command_hints.build('status')}",
            code=ExitCode.NOT_ROLLED_BACK,
        ) from None
    machine.stop_candidate()
    machine.install(record.units)


def recover(machine: Machine, record: Record, *, must_start: bool = True) -> str:
    """Finish or roll back an interrupted update like `undo`; return the outcome for the user."""
    article = "An" if record.kind == UPDATE else "A"
    image = record.candidate.reference
    what = f"{article} {record.kind} to {image} was interrupted at: {record.step}."
    if record.step == FINISH:
        finish(machine, record)
        return f"{what} It is finished now."
    undo(machine, record, must_start=must_start)
    _discard(machine, record)
    _end(record, INTERRUPTED, f"interrupted at: {record.step}")
    return f"{what} Its image is {record.former.reference} as before."


def _fail(machine: Machine, record: Record, fault: FaultError) -> DeployError:
    """Roll back after a fault, and return the error for the user."""
    served = record.step in {WATCH, SWITCH}
    result = ROLLED_BACK if served else REFUSED
    try:
        # Record the refusal first, because the rollback may fail.
        if fault.of_image and record.kind == UPDATE:
            refusal = Refusal(record.candidate, fault.reason, fault.log, now())
            update_state.refuse(refusal)
    finally:
        # Roll back even if the refusal cannot be written.
        undo(machine, record, candidate_serves=fault.unit != CANDIDATE)
    _discard(machine, record)
    _end(record, result, fault.reason)
    what = f"the {record.kind} to {record.candidate.reference} was {result}: {fault.reason}"
    return DeployError(
        f"{what}; the stack runs {record.former.reference}",
        hint=f"see {command_hints.build('status')}",
        code=ExitCode.ROLLED_BACK if served else ExitCode.REFUSED,
    )


def _discard(machine: Machine, record: Record) -> None:
    """Remove the candidate's image, unless it is kept or is the previous image."""
    kept = {each.image.digest for each in update_state.find_kept()}
    if record.candidate.digest not in {record.former.digest, *kept}:
        machine.discard([record.candidate])


def _enter(record: Record) -> Record:
    update_state.write_record(record)
    return record


def _end(record: Record, result: str, reason: str) -> None:
    names = record.former.reference, record.candidate.reference
    update_state.add_outcome(Outcome(record.kind, result, *names, reason, record.started, now()))
    update_state.remove_record()


def name_point(record: Record) -> str:
    """Return the name of the update's restore point, which PostgreSQL limits to 63 bytes."""
    return f"{record.kind}-{record.candidate.reference.rpartition('-')[2]}-{record.started[:19]}"


def now() -> str:
    """Return the current time in UTC, in ISO format with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
