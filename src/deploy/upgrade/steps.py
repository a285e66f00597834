"""Steps of a database upgrade into a new volume, which the stack uses only after a comparison.

The previous volume is not changed. A record on disk contains the current step. Until the removal of
one file (the pin) switches the stack, every start uses the previous server. After any interruption,
the same command finishes or repeats the upgrade; afterwards, the database accepts writes again.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from deploy import command_hints
from deploy.errors import DeployError, ExitCode
from deploy.upgrade.record import Record, Step, read, remove, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deploy.upgrade.machine import Copied, Machine


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of an upgrade or a return.

    Attributes:
        copied: Result of the copy; None if an earlier run made it, and for a return.
        refused_s: Seconds for which writes were refused; None if an earlier run refused them.
        lost: Changes that are missing in the previous volume, as one line per table.
    """

    record: Record
    url: str
    copied: Copied | None = None
    refused_s: float | None = None
    lost: Sequence[str] = ()


def run(machine: Machine, before: str, after: str, record_path: Path) -> Outcome:
    """Upgrade the database from one major version to another, or finish an interrupted upgrade.

    Raises:
        DeployError: The upgrade failed. The stack uses the previous volume, unless the new one may
            have accepted writes.
    """
    found = read(record_path)
    refuse_return(found)
    if found is not None and found.step is Step.SWITCH and not machine.is_held():
        if found.left:
            # The new server has already started; the remaining steps need no restart.
            try:
                url = machine.wait()
            except DeployError as error:
                raise _name_way_back(error) from None
            return Outcome(_conclude(machine, found, record_path), url)
        if _switch_again(machine, found, record_path):
            return _finish(machine, found, record_path)
    cancel(machine, record_path)
    record = Record(Step.COPY, before, after, machine.current_volume(), machine.new_volume_name())
    write(record_path, record)
    started = time.monotonic()
    try:
        machine.refuse_writes()
        copied = machine.copy(record.volume)
        # Later, the name of the stack's image may already refer to the new version.
        machine.keep_image(before)
        machine.hold(before, record.former)
        record = dataclasses.replace(record, step=Step.SWITCH, content=copied.content)
        write(record_path, record)
        machine.point(after, record.volume)
        machine.stop_backups()
        machine.release()
    except BaseException:
        _cancel(machine, record, record_path)
        raise
    done = _finish(machine, record, record_path, started)
    return dataclasses.replace(done, copied=copied)


def refuse_return(found: Record | None) -> None:
    """Raise a DeployError if a return was interrupted."""
    if found is not None and found.step is Step.BACK:
        hint = command_hints.build("upgrade-db --back")
        message = "a return to the former volume was interrupted"
        raise DeployError(message, hint=f"finish it: {hint}", code=ExitCode.CONFIG)


def cancel(machine: Machine, record_path: Path) -> bool:
    """Undo an upgrade that was interrupted before the switch; return whether there was one."""
    found = read(record_path)
    interrupted = found is not None and (
        found.step is Step.COPY or (found.step is Step.SWITCH and machine.is_held())
    )
    if found is not None and interrupted:
        _cancel(machine, found, record_path)
    return interrupted


def end_refusal(machine: Machine, record_path: Path) -> str:
    """Let the database accept writes again after an interruption.

    Before the switch, an upgrade is canceled. After it, the new server is started if the previous
    one is still running, because writes to the previous volume would be lost. A return is finished
    if its comparison is complete, and canceled otherwise.

    Returns:
        Outcome for the user; empty if `upgrade-db` has to continue and writes are accepted.
    """
    found = read(record_path)
    if found is None or found.step is Step.DONE:
        return ""
    if cancel(machine, record_path):
        return "canceled"
    if found.step is Step.BACK:
        return _end_return(machine, found, record_path)
    if not machine.serves(found.before):
        machine.accept_writes()
        return ""
    if _switch_again(machine, found, record_path):
        _finish(machine, found, record_path)
        return "finished"
    cancel(machine, record_path)
    return "canceled"


def go_back(machine: Machine, record_path: Path, *, lose_writes: bool) -> Outcome:
    """Return to the previous volume and version; `lose_writes` discards writes since the switch.

    Raises:
        DeployError: The previous volume does not exist, writes would be lost, or the return failed.
    """
    found = read(record_path)
    if found is None:
        message = "there is no database upgrade to return from"
        raise DeployError(message, hint="see docs/upgrade-db.md", code=ExitCode.USAGE)
    if not machine.has_volume(found.former):
        message = f"the former volume {found.former} no longer exists"
        raise DeployError(message, hint="restore a backup instead", code=ExitCode.UNAVAILABLE)
    if found.step is Step.SWITCH and found.left:
        # Otherwise, the backups of the previous volume would be in two folders.
        machine.set_apart(found.left)
        found = dataclasses.replace(found, step=Step.DONE)
        write(record_path, found)
    lost: Sequence[str] = ()
    if found.left_back:
        # The previous server has already started; the remaining steps need no restart.
        url = machine.wait()
    else:
        lost = _leave(machine, found, record_path, lose_writes=lose_writes)
        _point_back(machine, found, record_path)
        url = _restart(machine, found.before)
    if found.left:
        if not found.left_back:
            stamp = machine.new_stamp()
            found = dataclasses.replace(found, step=Step.BACK, left_back=stamp)
            write(record_path, found)
        machine.settle(found.left_back)
    else:
        # The backups belong to the previous volume.
        machine.resume_backups()
    remove(record_path)
    return Outcome(found, url, lost=lost)


def _switch_again(machine: Machine, found: Record, record_path: Path) -> bool:
    """Switch after an interruption; return False if the previous volume has newer data."""
    if not machine.serves(found.before):
        # This is repeated, because systemd may not have been reloaded.
        machine.release()
        return True
    # The previous server may have restarted before systemd was reloaded, and may accept writes.
    machine.hold(found.before, found.former)
    try:
        machine.refuse_writes()
        if machine.find_changes(found.content):
            return False
        machine.stop_backups()
        machine.release()
    except BaseException:
        _cancel(machine, found, record_path)
        raise
    return True


def _leave(
    machine: Machine, found: Record, record_path: Path, *, lose_writes: bool
) -> Sequence[str]:
    """Refuse writes to the new volume; return the changes that are missing in the previous one."""
    if machine.serves(found.before):
        return ()
    is_decided = _is_decided(machine, found)
    if not machine.serves(found.after):
        if is_decided:
            return ()
        if lose_writes:
            # The changes cannot be listed.
            return ("all writes since the upgrade",)
        up, back = (command_hints.build(each) for each in ("up", "upgrade-db --back --lose-writes"))
        raise DeployError(
            f"PostgreSQL {found.after} is not running, so its changes since the switch are unknown",
            hint=f"{up} starts it; to discard its changes: {back}",
            code=ExitCode.UNAVAILABLE,
        )
    # The record is first, because it explains why writes are refused.
    write(record_path, dataclasses.replace(found, step=Step.BACK))
    try:
        machine.refuse_writes()
        lost = machine.find_changes(found.content)
        if not lose_writes and not is_decided:
            _refuse_loss(lost)
    except BaseException:
        if not is_decided:
            _stay(machine, found, record_path)
        raise
    return lost


def _end_return(machine: Machine, found: Record, record_path: Path) -> str:
    """End the refusal of writes after an interrupted return, as in `end_refusal`."""
    if not _is_decided(machine, found):
        _stay(machine, found, record_path)
        return "canceled"
    if found.left_back:
        return ""
    go_back(machine, record_path, lose_writes=False)
    return "finished"


def _is_decided(machine: Machine, found: Record) -> bool:
    """Return whether an interrupted return has completed its comparison and must be finished."""
    return machine.is_held() or machine.current_volume() == found.former


def _stay(machine: Machine, found: Record, record_path: Path) -> None:
    """Cancel a return: let the new server accept writes again."""
    machine.accept_writes()
    stays = Step.DONE if found.left else Step.SWITCH
    write(record_path, dataclasses.replace(found, step=stays))
    machine.resume_backups()


def _point_back(machine: Machine, found: Record, record_path: Path) -> None:
    """Make the next start use the previous volume."""
    write(record_path, dataclasses.replace(found, step=Step.BACK))
    machine.hold(found.before, found.former)
    machine.point(found.before, found.former)
    machine.stop_backups()
    machine.release()


def _refuse_loss(lost: Sequence[str]) -> None:
    if lost:
        raise DeployError(
            f"writes since the upgrade would be lost: {'; '.join(lost)}",
            hint=f"to discard them: {command_hints.build('upgrade-db --back --lose-writes')}",
            code=ExitCode.DATA,
        )


def _finish(
    machine: Machine, record: Record, record_path: Path, started: float | None = None
) -> Outcome:
    """Start the new server; return to the previous one if it does not start."""
    try:
        url = _restart(machine, record.after)
    except DeployError as error:
        _give_up(machine, record, record_path, error, is_new=started is not None)
        raise
    refused_s = None if started is None else time.monotonic() - started
    return Outcome(_conclude(machine, record, record_path), url, refused_s=refused_s)


def _give_up(
    machine: Machine, record: Record, record_path: Path, error: DeployError, *, is_new: bool
) -> None:
    """Return to the previous server after a failed start, unless writes would be lost.

    Unless this is the first start (`is_new`), the new volume may have served for days.

    Raises:
        DeployError: The server did not start. The new volume is kept.
    """
    if machine.serves(record.after):
        try:
            machine.refuse_writes()
            is_unchanged = not machine.find_changes(record.content)
        except BaseException:
            machine.accept_writes()
            raise
        if is_unchanged:
            _cancel(machine, record, record_path)
        else:
            machine.accept_writes()
        return
    if not is_new:
        raise _name_way_back(error) from None
    _point_back(machine, record, record_path)
    _restart(machine, record.before)
    machine.resume_backups()
    remove(record_path)
    hint = f"the volume {record.volume} is kept, as it may have writes since the switch"
    raise DeployError(error.message, hint=hint, code=error.code) from None


def _name_way_back(error: DeployError) -> DeployError:
    """Return the error of a failed start, with the command that returns to the previous volume."""
    back = command_hints.build("upgrade-db --back --lose-writes")
    hint = f"{error.hint or command_hints.build('logs db')}; to go back and discard writes: {back}"
    return DeployError(error.message, hint=hint, code=error.code)


def _conclude(machine: Machine, record: Record, record_path: Path) -> Record:
    """Finish an upgrade after the start; return its final record."""
    if not record.left:
        # Backups from now on belong to the new volume, even after an interruption.
        record = dataclasses.replace(record, left=machine.new_stamp())
        write(record_path, record)
    machine.settle(record.left)
    done = dataclasses.replace(record, step=Step.DONE)
    write(record_path, done)
    return done


def _restart(machine: Machine, major: str) -> str:
    url = machine.restart()
    if not machine.serves(major):
        message = f"the database that was started is not PostgreSQL {major}"
        raise DeployError(message, hint=f"see {command_hints.build('status')}")
    return url


def _cancel(machine: Machine, record: Record, record_path: Path) -> None:
    """Switch the stack to the previous volume, and remove the new one, which has no other data."""
    if not machine.is_held() and machine.current_volume() != record.former:
        # The new server may be running, but must not start again.
        machine.hold(record.before, record.former)
    is_new = machine.serves(record.after)
    if not is_new:
        machine.accept_writes()
    if record.step is not Step.COPY:
        # With step SWITCH, the removal of the pin below would be the switch.
        write(record_path, dataclasses.replace(record, step=Step.COPY))
    if machine.is_held():
        machine.point(record.before, record.former)
        machine.release()
    if is_new:
        _restart(machine, record.before)
    machine.remove_volume(record.volume)
    machine.resume_backups()
    remove(record_path)
