"""Backups in the output of `status`."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from deploy import process
from deploy.cli import status_table
from deploy.paths import REPO
from deploy.stack import backup_status, backups
from deploy.stack.backup_status import BackupStatus, Outcome, WalStatus
from deploy.stack.overview import Overview

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STAMP = "20261130T031500Z"
RECORD = REPO / "containers" / "db" / "record_outcome.sh"
MIB = 1024**2
STATUS = BackupStatus(
    folder="/backup",
    count=3,
    newest=STAMP,
    age_seconds=7260,
    bytes=200 * MIB,
    total_bytes=1024 * MIB,
    last=Outcome("2026-11-30T03:15:07Z", ok=True, seconds=7, bytes=200 * MIB, stamp=STAMP),
    drill=None,
    wal=WalStatus(receiving=True, kept="reserved", lag_bytes=3 * MIB),
)


def add_base(folder: Path, stamp: str, **facts: object) -> None:
    (folder / "base" / stamp).mkdir(parents=True)
    (folder / "base" / f"{stamp}.json").write_text(json.dumps({"stamp": stamp, **facts}))


def record(folder: Path, name: str, outcome: dict[str, Any]) -> None:
    """Record an outcome as the containers do."""
    command = ["sh", str(RECORD), name, json.dumps(outcome)]
    environment = {"BACKUP_FOLDER": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, check=True, env=environment)


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The database's row of the slot, to be set by a test."""
    said = ["reserved|t|1024\n"]

    def run(argv: Sequence[str], **_: object) -> process.Completed:
        return process.Completed(tuple(argv), 0, said[0], "")

    monkeypatch.setattr(process, "run", run)
    return said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(backups, "find_folder", lambda: tmp_path)
    monkeypatch.setattr(backup_status, "has_backups", lambda: True)
    return tmp_path


def test_a_stack_that_makes_no_backups_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_status, "has_backups", lambda: False)
    assert backup_status.find() is None
    assert backup_status.find_disks() == ()


def test_the_newest_complete_backup_counts(folder: Path, slot: list[str]) -> None:
    add_base(folder, "20261129T031500Z", ended_at="2026-11-29T03:15:07Z", bytes=10)
    add_base(folder, STAMP, ended_at="2026-11-30T03:15:07Z", bytes=20)
    # What an interrupted run leaves.
    (folder / "base" / "20261201T031500Z.json").write_text("{}")
    found = backup_status.find()
    assert found is not None
    assert (found.count, found.newest, found.bytes, found.total_bytes) == (2, STAMP, 20, 30)
    assert found.wal == WalStatus(receiving=True, kept="reserved", lag_bytes=1024)
    slot[0] = "lost|f|\n"
    again = backup_status.find()
    assert again is not None
    assert again.wal == WalStatus(receiving=False, kept="lost", lag_bytes=None)


def test_before_the_first_run_there_is_nothing(folder: Path, slot: list[str]) -> None:
    slot[0] = "\n"
    found = backup_status.find()
    assert found is not None
    assert (found.count, found.newest, found.last, found.drill, found.wal) == (0, None) + (
        None,
    ) * 3
    assert folder.exists()


def test_an_outcome_is_recorded_beside_the_others(folder: Path, slot: list[str]) -> None:
    drill = {"at": "2026-11-29T04:00:00Z", "ok": True, "rpo_seconds": 1, "reason": "a } and \\n"}
    failed = {"at": "2026-11-30T03:15:07Z", "ok": False, "reason": "no space", "further": 1}
    record(folder, "backup", failed)
    record(folder, "drill", drill)
    record(folder, "backup", {**failed, "reason": "no space left"})
    assert slot
    found = backup_status.find()
    assert found is not None
    assert found.drill == drill
    assert found.last == Outcome("2026-11-30T03:15:07Z", ok=False, reason="no space left")


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["2 h 1 min ago, 200 MiB, 3 with 1.0 GiB in /backup", "received, 3.0 MiB behind"]),
        (
            {"last": Outcome("", ok=False, reason="the disk is full"), "newest": None},
            ["none yet, the last run failed: the disk is full", "received, 3.0 MiB behind"],
        ),
        (
            {"wal": WalStatus(receiving=False, kept="extended", lag_bytes=0)},
            [
                "2 h 1 min ago, 200 MiB, 3 with 1.0 GiB in /backup",
                "not received now, 0.0 MiB behind",
            ],
        ),
        (
            {"wal": WalStatus(receiving=True, kept="lost", lag_bytes=None)},
            [
                "2 h 1 min ago, 200 MiB, 3 with 1.0 GiB in /backup",
                "some of it is lost: make a backup",
            ],
        ),
        (
            {"wal": None},
            [
                "2 h 1 min ago, 200 MiB, 3 with 1.0 GiB in /backup",
                "not received: the database has no slot for it",
            ],
        ),
    ],
)
def test_backups_are_two_lines_of_the_table(changes: dict[str, Any], lines: list[str]) -> None:
    now = Overview(None, ready=False, reason="down", backup=dataclasses.replace(STATUS, **changes))
    shown = status_table.render(now).splitlines()
    found = [line for line in shown if line.startswith(("backup ", "WAL "))]
    assert found == [f"{'backup':<10}  {lines[0]}", f"{'WAL':<10}  {lines[1]}"]


@pytest.mark.parametrize(
    ("drill", "expected"),
    [
        (None, "none yet"),
        (
            {"ok": True, "rpo_seconds": 0.0, "rto_seconds": 38.2, "rows": 7},
            "the backup was complete 2 h ago, RPO 0.0 s, RTO 38.2 s, 7 rows",
        ),
        ({"ok": False, "reason": "WAL file X is missing"}, "failed 2 h ago: WAL file X is"),
    ],
)
def test_the_last_drill_is_a_line_of_the_table(drill: dict[str, Any] | None, expected: str) -> None:
    at = datetime.now(UTC) - timedelta(hours=2, seconds=30)
    outcome = drill and {"at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), **drill}
    backup = dataclasses.replace(STATUS, drill=outcome)
    now = Overview(None, ready=False, reason="down", backup=backup)
    (line,) = (line for line in status_table.render(now).splitlines() if line.startswith("drill "))
    assert line.startswith(f"{'drill':<10}  {expected}")
