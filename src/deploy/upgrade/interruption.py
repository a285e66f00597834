"""Recovery of `restart` and `up` from an interrupted upgrade that left the database read-only."""

from __future__ import annotations

from deploy import folder_lock, paths, progress
from deploy.stack import install
from deploy.upgrade import record, steps
from deploy.upgrade.stack_machine import StackMachine


def end_refusal() -> None:
    """Let the database accept writes again after an interrupted upgrade, if there was one.

    The caller must exclude other commands that change the stack.

    Raises:
        DeployError: The server does not start, or the record is malformed.
    """
    found = record.read(record.path())
    if found is None or found.step is record.Step.DONE or not install.is_installed():
        return
    with folder_lock.hold(paths.state_dir()):
        machine = StackMachine(found.before, found.after)
        how = steps.end_refusal(machine, record.path())
    if how:
        what = record.describe(found.step, found.before, found.after)
        progress.say(f"{what[:1].upper()}{what[1:]} was interrupted. It is {how} now.")
