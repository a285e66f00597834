"""Errors in the log that commands caused on purpose, and those that remain."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from deploy import atomic_write
from deploy.stack import planned_errors, update_state
from deploy.stack.log_line import Line
from deploy.stack.planned_errors import PlannedErrors

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 30, 5, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLANNED = PlannedErrors([(START - MINUTE * 60, START - MINUTE * 50), (START, START + MINUTE)])
REFUSED = "[12] todo@todo ERROR:  cannot execute INSERT in a read-only transaction"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "todo-backend"


def error(message: str, unit: str = "db", at: datetime = START) -> Line:
    return Line(at, unit, "ERROR", message, {})


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("db", REFUSED),
        ("db", "[9] todo@todo FATAL:  terminating connection due to administrator command"),
        ("db", "[9] FATAL:  terminating background worker due to administrator command"),
        ("db", "[9] todo@todo FATAL:  the database system is shutting down"),
        ("db", "[9] todo@todo FATAL:  the database system is starting up"),
        ("db", "[9] todo@todo FATAL:  the database system is not yet accepting connections"),
        ("wal", 'pg_receivewal: error: connection to server on socket "/run/todo/x" failed: no'),
        ("wal", "pg_receivewal: error: unexpected termination of replication stream: FATAL: …"),
    ],
)
def test_what_a_command_causes_is_left_out_only_while_it_runs(unit: str, message: str) -> None:
    assert PLANNED.covers(error(message, unit))
    for at in (START - MINUTE * 5, START + MINUTE * 2):
        assert not PLANNED.covers(error(message, unit, at))


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("db", "[9] PANIC:  could not write to file: No space left on device"),
        ("db", '[9] todo@todo ERROR:  relation "task" does not exist'),
        ("db", '[9] FATAL:  could not open file "base/5/16401"'),
        ("db", "todo-db.service: Failed with result 'exit-code'."),
        ("backend", "unexpected error"),
        ("wal", "pg_receivewal: error: could not write 8192 bytes to WAL file: No space left"),
    ],
)
def test_other_errors_stay_also_while_a_command_runs(unit: str, message: str) -> None:
    assert not PLANNED.covers(error(message, unit))


def test_the_time_in_which_a_command_changed_the_stack_is_noted() -> None:
    before = datetime.now(UTC)
    with contextlib.suppress(KeyboardInterrupt), update_state.hold():
        within = datetime.now(UTC)
        raise KeyboardInterrupt
    found = update_state.find_planned_errors()
    assert found.covers(error(REFUSED, at=within))
    assert not found.covers(error(REFUSED, at=before))
    assert not found.covers(error(REFUSED, at=datetime.now(UTC)))


@pytest.mark.parametrize("content", ["{", "{}", "[1]", '[["x", "y"]]', "[[1, 2]]"])
def test_a_damaged_file_leaves_nothing_out_and_is_written_anew(
    content: str, tmp_path: Path
) -> None:
    file = tmp_path / planned_errors.FILE
    file.write_text(content)
    assert not planned_errors.find(tmp_path).covers(error(REFUSED))
    with planned_errors.noted(tmp_path):
        within = datetime.now(UTC)
    assert planned_errors.find(tmp_path).covers(error(REFUSED, at=within))


def test_a_full_disk_does_not_make_a_command_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_write, "write_text", fail)
    with planned_errors.noted(tmp_path):
        pass


def test_old_commands_are_forgotten(tmp_path: Path) -> None:
    for _ in range(60):
        with planned_errors.noted(tmp_path):
            pass
    assert (tmp_path / planned_errors.FILE).read_text().count("],") == 49
