"""Handling of an interrupted upgrade by `restart` and `up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.cli.restart import Restart
from deploy.cli.up import Up
from deploy.errors import DeployError
from deploy.stack import install, lifecycle, up, update_state
from deploy.update import begin
from deploy.upgrade import interruption, record
from deploy.upgrade.record import Record, Step
from tests.unit.deploy.upgrade.fake_machine import FakeMachine

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.cli.command import Command


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """A machine on which an upgrade was killed while it copied."""
    machine = FakeMachine(is_writable=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(interruption, "StackMachine", lambda *_: machine)
    monkeypatch.setattr(install, "is_installed", lambda: True)
    record.write(record.path(), Record(Step.COPY, *("17", "18"), *("todo-data", "todo-data-18-1")))
    return machine


@pytest.mark.parametrize("command", [Restart, Up])
def test_a_command_that_starts_the_stack_lets_the_database_accept_writes(
    machine: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: type[Command],
) -> None:
    def start(*_: object, **__: object) -> str:
        assert update_state.is_held()
        assert machine.is_writable
        raise DeployError("far enough")

    monkeypatch.setattr("deploy.stack.in_lab.find", lambda **_: None)
    monkeypatch.setattr(begin, "refuse_checkout", lambda **_: None)
    monkeypatch.setattr(lifecycle, "restart", start)
    monkeypatch.setattr(up, "up", start)
    with pytest.raises(DeployError, match="far enough"):
        command.start(["build.py"])
    said = "An upgrade to PostgreSQL 18 was interrupted. It is canceled now."
    assert said in capsys.readouterr().err
    assert record.read(record.path()) is None


def test_without_a_stack_nothing_is_done(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "is_installed", lambda: False)
    interruption.end_refusal()
    assert machine.calls == []
