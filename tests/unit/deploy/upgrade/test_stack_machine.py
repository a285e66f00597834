"""What an upgrade refuses before it changes anything."""

from __future__ import annotations

import pytest

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.stack import disks, lifecycle
from deploy.stack.disks import Disk
from deploy.upgrade import clusters, stack_machine
from deploy.upgrade.stack_machine import StackMachine

GIB = 1 << 30


@pytest.mark.parametrize(
    ("rehearses", "has_backups", "fits"),
    [(True, True, False), (True, False, True), (False, True, True)],
)
def test_a_rehearsal_needs_room_for_a_restored_backup_beside_the_copy(
    monkeypatch: pytest.MonkeyPatch, *, rehearses: bool, has_backups: bool, fits: bool
) -> None:
    monkeypatch.setattr(lifecycle, "refuse_absent", lambda: None)
    monkeypatch.setattr(stack_machine, "_is_ready", lambda: True)
    monkeypatch.setattr(process, "run", lambda *_, **__: process.Completed((), 2, "", ""))
    monkeypatch.setattr(stack_machine, "has_backups", lambda: has_backups)
    monkeypatch.setattr(clusters, "find_size", lambda _: 10 * GIB)
    monkeypatch.setattr(disks, "find", lambda: (Disk("data", "/", 100 * GIB, 20 * GIB, None),))
    machine = StackMachine("17", "18")
    if fits:
        machine.check(rehearses=rehearses)
        return
    with pytest.raises(DeployError, match="the disk has 20480 MiB free") as caught:
        machine.check(rehearses=rehearses)
    assert caught.value.code == ExitCode.NO_SPACE
