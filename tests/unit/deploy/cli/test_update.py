"""`build.py update`: what it refuses before anything is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.cli.update import Update
from deploy.errors import DeployError, ExitCode
from deploy.update import begin
from deploy.upgrade import record
from deploy.upgrade.record import Record, Step

if TYPE_CHECKING:
    from pathlib import Path


def test_an_upgrade_of_the_database_is_finished_before_an_update_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[begin.Options] = []

    def update(options: begin.Options) -> str:
        begun.append(options)
        return "updated"

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(Update, "elsewhere", lambda *_: None)
    monkeypatch.setattr(begin, "update", update)
    record.write(record.path(), Record(Step.COPY, "17", "18", "todo-data", "todo-data-18"))
    with pytest.raises(DeployError, match="an upgrade to PostgreSQL 18 was interrupted") as caught:
        Update.run(["build.py update"], exit=False)
    assert caught.value.code == ExitCode.CONFIG
    assert begun == []
    record.path().unlink()
    assert Update.run(["build.py update"], exit=False)[1] == 0
    assert len(begun) == 1
