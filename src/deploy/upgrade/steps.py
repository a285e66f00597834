"""An upgrade of the database, step by step: into a new volume, compared there, and only then used.

The former volume stays as it is. A record on disk says which step is being done. Until the stack is
switched by the removal of one file, every start brings up the former server.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Protocol

from deploy import command_hints
from deploy.errors import DeployError, ExitCode
from deploy.upgrade.record import Record, Step, read, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Copied:
    """A copy of the database in the new version.

    Attributes:
        content: Table -> what identifies its rows.
        rows: Rows of all tables.
        size_bytes: Of the new database.
        seconds: For the copy, and the comparison.
    """

    content: Mapping[str, str]
    rows: int
    size_bytes: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """An upgrade that is done, or a return.

    Attributes:
        record: Of the upgrade.
        url: Where the stack serves.
        copied: The copy; None where an earlier run made it, and for a return.
        refused_s: Seconds for which writes were refused; None where an earlier run refused them.
        lost: What the former volume does not have, a line each.
    """

    record: Record
    url: str
    copied: Copied | None = None
    refused_s: float | None = None
    lost: Sequence[str] = ()


class Machine(Protocol):
    """What an upgrade does to the machine; `deploy.upgrade.stack_machine` does it."""

    def new_volume_name(self) -> str:
        """A name that no volume has."""

    def current_volume(self) -> str:
        """The volume that the stack uses."""

    def has_volume(self, name: str) -> bool:
        """Whether there is a volume of that name."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume, if it is there."""

    def refuse_writes(self) -> None:
        """Let the server of the stack refuse writes, until it is started again."""

    def accept_writes(self) -> None:
        """Let the server of the stack accept writes, if it runs."""

    def copy(self, volume: str) -> Copied:
        """Copy the database of the stack into a new volume, in the new version, and compare both.

        Raises:
            DeployError: It failed, or they differ.
        """

    def find_changes(self, content: Mapping[str, str]) -> list[str]:
        """What the database of the stack has other than a content, a line for each table."""

    def serves(self, major: str) -> bool:
        """Whether the server that runs is of a version."""

    def hold(self, major: str, volume: str) -> None:
        """Pin what starts, whatever else is installed."""

    def is_held(self) -> bool:
        """Whether something is pinned."""

    def point(self, major: str, volume: str) -> None:
        """Install what is to start as soon as nothing is pinned any more."""

    def release(self) -> None:
        """Pin nothing any more: what `point` installed is what starts, from now on."""

    def restart(self) -> str:
        """Restart database and backend while requests wait; returns the address.

        Raises:
            DeployError: Something did not start.
        """

    def resume_backups(self) -> None:
        """Start the backups again, which `restart` stops."""

    def settle(self) -> None:
        """Record the image that the stack uses now, and keep the backups of before apart."""


def run(machine: Machine, before: str, after: str, record_path: Path) -> Outcome:
    """Upgrade, or finish an upgrade that was interrupted.

    Args:
        machine: The machine.
        before: The major version of the stack.
        after: The one to go to.
        record_path: The file of the record.

    Raises:
        DeployError: It failed, and the stack uses the former volume.
    """
    found = read(record_path)
    if found is not None and found.step is Step.BACK:
        hint = command_hints.build("upgrade-db --back")
        message = "a return to the former volume was interrupted"
        raise DeployError(message, hint=f"finish it: {hint}", code=ExitCode.CONFIG)
    if found is not None and found.step is Step.SWITCH and not machine.is_held():
        # The former server may have been started again before systemd knew of the new one.
        is_former = machine.serves(found.before)
        if is_former:
            # It accepts writes then, and would until it is compared and ended.
            machine.refuse_writes()
        if not is_former or not machine.find_changes(found.content):
            # Again: systemd may not have read it.
            machine.release()
            return _finish(machine, found, record_path)
        machine.hold(found.before, found.former)
    if found is not None and found.step in {Step.COPY, Step.SWITCH}:
        _cancel(machine, found, record_path)
    record = Record(Step.COPY, before, after, machine.current_volume(), machine.new_volume_name())
    write(record_path, record)
    started = time.monotonic()
    try:
        machine.refuse_writes()
        copied = machine.copy(record.volume)
        machine.hold(before, record.former)
        record = dataclasses.replace(record, step=Step.SWITCH, content=copied.content)
        write(record_path, record)
        machine.point(after, record.volume)
    except BaseException:
        _cancel(machine, record, record_path)
        raise
    machine.release()
    done = _finish(machine, record, record_path, started)
    return dataclasses.replace(done, copied=copied)


def cancel(machine: Machine, record_path: Path) -> bool:
    """Undo an upgrade that was interrupted before the switch; whether there was one."""
    found = read(record_path)
    interrupted = found is not None and (
        found.step is Step.COPY or (found.step is Step.SWITCH and machine.is_held())
    )
    if found is not None and interrupted:
        _cancel(machine, found, record_path)
    return interrupted


def go_back(machine: Machine, record_path: Path, *, lose_writes: bool) -> Outcome:
    """Return to the volume and the version of before.

    Args:
        machine: The machine.
        record_path: The file of the record.
        lose_writes: Return although the former volume lacks what was written since the switch.

    Raises:
        DeployError: There is nothing to return to, or something would be lost.
    """
    found = read(record_path)
    if found is None:
        message = "there is no upgrade of the database to go back from"
        raise DeployError(message, hint="see docs/upgrade-db.md", code=ExitCode.USAGE)
    if not machine.has_volume(found.former):
        message = f"the former volume {found.former} is not there any more"
        raise DeployError(message, hint="restore a backup instead", code=ExitCode.UNAVAILABLE)
    lost: Sequence[str] = ()
    if found.step is not Step.BACK or machine.is_held() or machine.serves(found.after):
        lost = _leave(machine, found, record_path, lose_writes=lose_writes)
    url = _restart(machine, found.before)
    machine.settle()
    record_path.unlink(missing_ok=True)
    return Outcome(found, url, lost=lost)


def _leave(
    machine: Machine, found: Record, record_path: Path, *, lose_writes: bool
) -> Sequence[str]:
    """Let the former volume be what starts next; returns what it lacks."""
    if lose_writes and not machine.serves(found.after):
        # Its changes cannot be listed.
        lost: Sequence[str] = ("all that was written since the upgrade",)
        _point_back(machine, found, record_path)
        return lost
    machine.refuse_writes()
    try:
        lost = machine.find_changes(found.content)
        if not lose_writes:
            _refuse_loss(lost)
        _point_back(machine, found, record_path)
    except DeployError:
        machine.accept_writes()
        raise
    return lost


def _point_back(machine: Machine, found: Record, record_path: Path) -> None:
    write(record_path, dataclasses.replace(found, step=Step.BACK))
    machine.hold(found.after, found.volume)
    machine.point(found.before, found.former)
    machine.release()


def _refuse_loss(lost: Sequence[str]) -> None:
    if lost:
        raise DeployError(
            f"writes since the upgrade would be lost: {'; '.join(lost)}",
            hint=f"to lose them: {command_hints.build('upgrade-db --back --lose-writes')}",
            code=ExitCode.DATA,
        )


def _finish(
    machine: Machine, record: Record, record_path: Path, started: float | None = None
) -> Outcome:
    """Start what was switched to; go back where it does not start."""
    try:
        url = _restart(machine, record.after)
    except DeployError as error:
        # It may have taken writes already.
        is_comparable = machine.serves(record.after)
        if started is None and not is_comparable:
            # It may have served for days since the upgrade was interrupted.
            back = command_hints.build("upgrade-db --back --lose-writes")
            hint = f"{error.hint or command_hints.build('logs db')}; without what it has: {back}"
            raise DeployError(error.message, hint=hint, code=error.code) from None
        if is_comparable:
            machine.refuse_writes()
            if machine.find_changes(record.content):
                machine.accept_writes()
                raise
        machine.hold(record.before, record.former)
        machine.point(record.before, record.former)
        machine.release()
        _restart(machine, record.before)
        if is_comparable:
            machine.remove_volume(record.volume)
        record_path.unlink(missing_ok=True)
        machine.resume_backups()
        if is_comparable:
            raise
        hint = f"the volume {record.volume} stays, as it may have what was written since the switch"
        raise DeployError(error.message, hint=hint, code=error.code) from None
    refused_s = None if started is None else time.monotonic() - started
    machine.settle()
    done = dataclasses.replace(record, step=Step.DONE)
    write(record_path, done)
    return Outcome(done, url, refused_s=refused_s)


def _restart(machine: Machine, major: str) -> str:
    url = machine.restart()
    if not machine.serves(major):
        message = f"the database that was started is not PostgreSQL {major}"
        raise DeployError(message, hint=f"see {command_hints.build('status')}")
    return url


def _cancel(machine: Machine, record: Record, record_path: Path) -> None:
    machine.accept_writes()
    if machine.is_held() or record.step is Step.SWITCH:
        machine.point(record.before, record.former)
        machine.release()
    machine.remove_volume(record.volume)
    record_path.unlink(missing_ok=True)
