"""`build.py upgrade-db`: what it does before it touches the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.cli import upgrade_db
from deploy.cli.upgrade_db import UpgradeDb
from deploy.stack import lifecycle, postgresql, update_state
from deploy.update import begin
from deploy.upgrade import record
from deploy.upgrade.record import Record, Step
from deploy.upgrade.steps import Copied

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


class FakeMachine:
    """A stack whose server refuses writes since a copy was interrupted."""

    def __init__(self, *_: str) -> None:
        self.is_writable = False

    def accept_writes(self) -> None:
        self.is_writable = True

    def is_held(self) -> bool:
        return False

    def remove_volume(self, _name: str) -> None:
        pass

    def check(self, *, rehearses: bool) -> None:
        assert rehearses

    def build(self, _options: object) -> None:
        assert self.is_writable

    def rehearse(self) -> Copied:
        assert self.is_writable
        return Copied({}, 0, 0, 0.0)


def test_writes_are_accepted_while_an_interrupted_upgrade_is_rehearsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(UpgradeDb, "elsewhere", lambda *_: None)
    monkeypatch.setattr(lifecycle, "refuse_absent", lambda: None)
    monkeypatch.setattr(postgresql, "find_installed", lambda: "17")
    monkeypatch.setattr(upgrade_db, "StackMachine", FakeMachine)
    record.write(record.path(), Record(Step.COPY, "17", "18", "todo-data", "todo-data-18"))
    _, code = UpgradeDb.run(["build.py upgrade-db", "--rehearse"], exit=False)
    assert code == 0
    assert record.read(record.path()) is None


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
