"""Refusals of an upgrade, and the order in which it changes the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.backup import left_behind
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import backups, disks, lifecycle, systemd
from deploy.stack.disks import Disk
from deploy.upgrade import clusters, stack_machine
from deploy.upgrade.stack_machine import StackMachine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
    with pytest.raises(DeployError, match="the disk has only 20480 MiB free") as caught:
        machine.check(rehearses=rehearses)
    assert caught.value.code == ExitCode.NO_SPACE


def test_a_setting_that_lets_somebody_write_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "refuse-writes: default_transaction_read_only was set to off by ALTER ROLE todo, which …\n"
    )

    def run(argv: Sequence[str], **_: object) -> process.Completed:
        done = process.Completed(tuple(argv), 78, "", said)
        raise process.ToolError("podman failed", hint="", code=ExitCode.FAILED, completed=done)

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(DeployError) as caught:
        StackMachine("17", "18").refuse_writes()
    assert caught.value.message.startswith("default_transaction_read_only was set to off by ALTER")
    assert "RESET" in caught.value.hint
    assert caught.value.code == ExitCode.CONFIG


def test_backups_of_before_are_moved_while_none_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[tuple[object, ...]] = []

    def move(folder: Path, until: str) -> Path:
        done.append(("move", folder, until))
        return folder

    monkeypatch.setattr(stack_machine, "has_backups", lambda: True)
    monkeypatch.setattr(build, "find", lambda _: None)
    monkeypatch.setattr(backups, "find_folder", lambda: tmp_path)
    monkeypatch.setattr(left_behind, "move", move)
    monkeypatch.setattr(backups, "start", lambda: done.append(("backups",)))
    monkeypatch.setattr(systemd, "systemctl", lambda *words: done.append(words))
    StackMachine("17", "18").settle("20261130T120000Z")
    assert done == [
        ("stop", "todo-wal.service"),
        ("move", tmp_path, "20261130T120000Z"),
        ("backups",),
        ("start", "--no-block", "todo-backup.service"),
    ]
