"""An update or a rollback, step by step, and the way back from each.

`latest`, which the units name, moves only when the candidate has served. A record on disk says how
far an update is. Whatever interrupts it, `undo` leads back from there.
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
        """Install unit files, and let systemd read them."""

    def point_latest(self, image: Image) -> None:
        """Make the units name an image."""

    def find_instances(self) -> tuple[str, ...]:
        """Return the instances of the backend."""

    def runs(self, unit: str, image: Image) -> bool:
        """Return whether an instance runs, and this image."""

    def serves(self) -> bool:
        """Return whether an instance is ready."""

    def open_sockets(self) -> None:
        """Open the sockets of the stack, if they are not: a service at its limit closes them."""

    def make_restore_point(self, name: str) -> None:
        """Name the state before the update in the WAL.

        Raises:
            DeployError: That is not possible.
        """

    def migrate(self) -> None:
        """Run the candidate's migration.

        Raises:
            FaultError: It failed.
        """

    def start_candidate(self) -> None:
        """Start the candidate, again where it runs.

        Raises:
            FaultError: It does not get ready.
        """

    def stop_candidate(self) -> None:
        """Stop the candidate, if it is there."""

    def try_requests(self) -> None:
        """Send requests that no user sees.

        Raises:
            FaultError: They are not answered as they should be.
        """

    def watch(self, unit: str, seconds: float | None = None) -> None:
        """Watch an instance and the candidate while they serve.

        Raises:
            FaultError: One of them does not behave as the others do.
        """

    def replace(self, unit: str) -> None:
        """Restart an instance with another image.

        Raises:
            FaultError: It does not get ready.
        """

    def restore(self, unit: str) -> None:
        """Restart an instance with the image of before.

        Raises:
            DeployError: It did not start.
        """

    def finish(self) -> None:
        """Write down what belongs to the image that runs now."""

    def discard(self, unwanted: Sequence[Image]) -> None:
        """Remove images that are not kept."""


def run(machine: Machine, record: Record, *, watch_s: float, migrates: bool) -> None:
    """Run an update.

    Args:
        machine: The stack.
        record: Record of the update.
        watch_s: Seconds for which the candidate is watched while it serves users.
        migrates: Whether to run its migration first.

    Raises:
        DeployError: The stack runs the former image: the new one was rejected before it served
            users (`REFUSED`), or the update was rolled back (`ROLLED_BACK`). If the rollback
            failed as well, the code is `NOT_ROLLED_BACK`.
    """
    _enter(record)
    # Before a rollback the stack may be down; then the candidate is not watched, to save time.
    serves = machine.serves()
    try:
        # A build by hand may have moved it.
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
    """The last step: all instances run the candidate's image."""
    machine.stop_candidate()
    machine.install(units.render_sources(record))
    machine.finish()
    left = update_state.keep(
        KeptImage(record.former, units.find_sources(record.units)),
        KeptImage(record.candidate, record.sources),
    )
    machine.discard([each.image for each in left])
    # Another one of the same inputs may have been refused, as with older packages of Debian.
    update_state.accept(record.candidate)
    _end(record, UPDATED, "")


def undo(
    machine: Machine, record: Record, *, candidate_serves: bool = True, must_start: bool = True
) -> None:
    """Roll an update back from any of its steps.

    Args:
        machine: The stack.
        record: Record with the step of the update.
        candidate_serves: Whether the candidate may serve until the others do.
        must_start: Whether an instance that does not start is a failure.

    Raises:
        DeployError: The former image does not start; the record is kept.
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
    """Finish an interrupted update or roll it back; returns the outcome for the user.

    Args:
        machine: The stack.
        record: Record with the step of the update.
        must_start: As for `undo`.
    """
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
    """Go back after a fault; return the error for the user."""
    served = record.step in {WATCH, SWITCH}
    result = ROLLED_BACK if served else REFUSED
    try:
        # Before the rollback, so that the refusal is recorded even if the rollback fails.
        if fault.of_image and record.kind == UPDATE:
            refusal = Refusal(record.candidate, fault.reason, fault.log, now())
            update_state.refuse(refusal)
    finally:
        # Also where the list cannot be written.
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
    """Remove the candidate's image, unless it is one of those that stay, or runs."""
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
    """Return the name of the restore point of an update; PostgreSQL allows 63 bytes."""
    return f"{record.kind}-{record.candidate.reference.rpartition('-')[2]}-{record.started[:19]}"


def now() -> str:
    """Return the time, as the records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
