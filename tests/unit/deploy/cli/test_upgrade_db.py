"""`build.py upgrade-db`: what it does before it touches the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.cli import upgrade_db
from deploy.cli.upgrade_db import UpgradeDb
from deploy.errors import DeployError
from deploy.stack import lifecycle, postgresql, update_state
from deploy.update import begin
from deploy.upgrade import record
from deploy.upgrade.machine import Copied
from deploy.upgrade.record import Record, Step
from tests.unit.deploy.upgrade.fake_machine import NEW, OLD, FakeMachine

if TYPE_CHECKING:
    from pathlib import Path


def test_an_interrupted_update_is_ended_first_and_no_other_command_comes_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done: list[tuple[str, bool]] = []

    def note(what: str) -> str:
        done.append((what, update_state.is_held()))
        return ""

    monkeypatch.setattr(UpgradeDb, "elsewhere", lambda *_: None)
    monkeypatch.setattr(lifecycle, "refuse_absent", lambda: None)
    monkeypatch.setattr(begin, "recover", lambda: note("recover"))
    monkeypatch.setattr(UpgradeDb, "_upgrade", lambda _self: note("upgrade"))
    monkeypatch.setattr(UpgradeDb, "_go_back", lambda _self: note("back"))
    for arguments in ([], ["--back"]):
        _, code = UpgradeDb.run(["build.py upgrade-db", *arguments], exit=False)
        assert code == 0
    assert done == [(what, True) for what in ("recover", "upgrade", "recover", "back")]


class RehearsedMachine(FakeMachine):
    """A stack that is checked, built and rehearsed only while it accepts writes."""

    def check(self, *, rehearses: bool) -> None:
        self.calls.append(f"check {rehearses}")
        assert self.is_writable

    def build(self, _options: object) -> None:
        assert self.is_writable

    def rehearse(self) -> Copied:
        assert self.is_writable
        return Copied({}, 0, 0, 0.0)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RehearsedMachine:
    made = RehearsedMachine()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(UpgradeDb, "elsewhere", lambda *_: None)
    monkeypatch.setattr(lifecycle, "refuse_absent", lambda: None)
    monkeypatch.setattr(postgresql, "find_installed", lambda: made.installed[0])
    monkeypatch.setattr(upgrade_db, "StackMachine", lambda *_: made)
    return made


@pytest.mark.parametrize("step", [Step.COPY, Step.SWITCH])
def test_writes_are_accepted_while_an_interrupted_upgrade_is_rehearsed_again(
    machine: RehearsedMachine, step: Step
) -> None:
    record.write(record.path(), Record(step, *("17", "18"), *("todo-data", "todo-data-18")))
    machine.is_writable = False
    if step is Step.SWITCH:
        machine.images["17"] = "17"
        machine.held = OLD
        machine.installed = ("18", "todo-data-18")
    _, code = UpgradeDb.run(["build.py upgrade-db", "--rehearse"], exit=False)
    assert code == 0
    assert machine.is_writable
    assert record.read(record.path()) is None


def test_an_upgrade_after_the_switch_is_finished_without_a_rehearsal(
    machine: RehearsedMachine,
) -> None:
    machine.interrupted = "restart"
    with pytest.raises(KeyboardInterrupt):
        UpgradeDb.start(["build.py upgrade-db", "--no-rehearsal"])
    with pytest.raises(DeployError, match="an upgrade was interrupted"):
        UpgradeDb.start(["build.py upgrade-db", "--rehearse"])
    assert UpgradeDb.start(["build.py upgrade-db"]) == 0
    assert machine.running == NEW
    assert machine.is_writable


def test_an_interrupted_return_is_finished_first_although_nothing_newer_is_known(
    machine: RehearsedMachine,
) -> None:
    machine.installed = machine.running = ("18", "todo-data-18")
    record.write(record.path(), Record(Step.BACK, *("17", "18"), *("todo-data", "todo-data-18")))
    with pytest.raises(DeployError, match="a return to the former volume was interrupted"):
        UpgradeDb.start(["build.py upgrade-db"])


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ([], ["--image-cache=/var/cache/lab/images"]),
        (
            ["--rehearse", "--builder=localhost/mine", "--image-cache=/srv/images"],
            ["--rehearse", "--builder=localhost/mine", "--image-cache=/srv/images"],
        ),
        (
            ["--back", "--lose-writes"],
            ["--back", "--lose-writes", "--image-cache=/var/cache/lab/images"],
        ),
    ],
)
def test_every_switch_is_passed_on_to_a_lab(
    monkeypatch: pytest.MonkeyPatch, given: list[str], passed: list[str]
) -> None:
    words: list[str] = []

    def go(_self: UpgradeDb, command: str, arguments: list[str]) -> int:
        words.extend([command, *arguments])
        return 0

    monkeypatch.setattr(UpgradeDb, "elsewhere", go)
    assert UpgradeDb.start(["build.py upgrade-db", *given]) == 0
    assert words == ["upgrade-db", *passed]
