"""Unfinished upgrades in the output of `status`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from deploy import folder_lock, paths
from deploy.errors import DeployError, ExitCode
from deploy.stack import database
from deploy.upgrade import record
from deploy.upgrade.record import Record, Step

if TYPE_CHECKING:
    from pathlib import Path

AGAIN, BACK = "python3 build.py upgrade-db", "python3 build.py upgrade-db --back"
REFUSES = ", and the database refuses writes; python3 build.py restart lets it accept them"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def set_up(monkeypatch: pytest.MonkeyPatch, step: Step, setting: str) -> None:
    def query(statement: str) -> str:
        assert statement == "SHOW default_transaction_read_only"
        if not setting:
            raise DeployError("no such container")
        return setting

    monkeypatch.setattr(database, "query", query)
    record.write(record.path(), Record(step, "17", "18", "todo-data", "todo-data-18"))


@pytest.mark.parametrize(
    ("step", "setting", "is_running", "note"),
    [
        (
            *(Step.COPY, "on", False),
            f"an upgrade to PostgreSQL 18 was interrupted{REFUSES}; to finish: {AGAIN}, or {BACK}",
        ),
        (
            *(Step.SWITCH, "off", False),
            f"an upgrade to PostgreSQL 18 was interrupted; to finish: {AGAIN}, or {BACK}",
        ),
        (
            *(Step.SWITCH, "", False),
            f"an upgrade to PostgreSQL 18 was interrupted; to finish: {AGAIN}, or {BACK}",
        ),
        (
            *(Step.BACK, "on", False),
            f"a return to PostgreSQL 17 was interrupted{REFUSES}; to finish: {BACK}",
        ),
        (
            *(Step.COPY, "on", True),
            "an upgrade to PostgreSQL 18 is under way, and the database refuses writes",
        ),
    ],
)
def test_an_upgrade_that_did_not_end_is_named_with_the_writes_that_it_refuses(
    monkeypatch: pytest.MonkeyPatch, step: Step, setting: str, note: str, *, is_running: bool
) -> None:
    set_up(monkeypatch, step, setting)
    with folder_lock.hold(paths.state_dir()) if is_running else contextlib.nullcontext():
        assert record.find_notes() == [note]
        assert record.to_json_dict() == {
            "step": str(step),
            "before": "17",
            "after": "18",
            "running": is_running,
            "refuses_writes": setting == "on" if setting else None,
        }
    with pytest.raises(DeployError) as caught:
        record.refuse_interrupted()
    assert caught.value.code == ExitCode.CONFIG


def test_an_upgrade_that_is_done_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert record.to_json_dict() is None
    set_up(monkeypatch, Step.DONE, "on")
    assert record.find_notes() == []
    assert record.to_json_dict() is None
    record.refuse_interrupted()


def test_a_malformed_record_is_named() -> None:
    record.path().parent.mkdir(parents=True)
    record.path().write_text("{}")
    assert "cannot be read" in record.find_notes()[0]
    assert "cannot be read" in str(record.to_json_dict())
