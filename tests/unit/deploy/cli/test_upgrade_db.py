"""`build.py upgrade-db`: what it does before it touches the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.cli.upgrade_db import UpgradeDb
from deploy.stack import lifecycle, update_state
from deploy.update import begin

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
