"""The file with the outcome of a drill, which `build.py status` reads."""

import json
import os
from pathlib import Path

import pytest

from todo.core.exit import FatalError
from todo.journal import drill_command


def test_the_outcome_takes_its_place_beside_that_of_the_backup(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"backup": {"ok": true}}')
    drill_command.write_outcome(tmp_path, {"ok": False})
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {"backup": {"ok": True}, "drill": {"ok": False}}
    assert file.stat().st_mode & 0o777 == 0o644


def test_an_outcome_that_cannot_be_written_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FatalError, match="No space left on device"):
        drill_command.write_outcome(tmp_path, {"ok": True})
    assert list(tmp_path.iterdir()) == []
