"""Preflight refusals of an update, before it changes anything."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import update_state
from deploy.stack.backup_status import BackupStatus, Outcome
from deploy.stack.update_state import Image, Refusal
from deploy.update import preflight
from deploy.update.preflight import Running
from deploy.update.program import Schemas

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = ("0012", "0013", "0014")
NOW = Running("0013", "0013", "0013")


def program(expected: str, oldest: str = "0013") -> Schemas:
    return Schemas(expected, tuple(each for each in KNOWN if each <= expected), oldest, 1.0)


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("candidate", "running"),
    [
        (program("0013"), NOW),
        # It adds something.
        (program("0014"), NOW),
        # The database has what a later program has added.
        (program("0013"), Running("0014", "0014", "0013")),
    ],
)
def test_a_program_that_fits_the_database_is_accepted(candidate: Schemas, running: Running) -> None:
    preflight.check_schemas(candidate, running, migrates=True)


@pytest.mark.parametrize(
    ("candidate", "running", "words"),
    [
        (program("0012", "0012"), NOW, "needs a program for 0013 or later"),
        (
            program("0014", "0014"),
            NOW,
            "drops support for programs older than 0014, but the running program is for",
        ),
        # As before: there was no promise.
        (program("0013"), Running("0012", "0012", ""), "0012 — update with a restart"),
        # Another image may need it.
        (program("0014"), Running("0013", "0013", "0012"), "programs from 0012 on — .*contract"),
        (program("0013"), Running("0015", "0015", "0014"), "needs a program for 0014 or later"),
    ],
)
def test_a_program_that_does_not_fit_is_refused(
    candidate: Schemas, running: Running, words: str
) -> None:
    with pytest.raises(DeployError, match=words) as caught:
        preflight.check_schemas(candidate, running, migrates=True)
    assert caught.value.code == ExitCode.REFUSED


def test_a_rollback_does_not_migrate() -> None:
    with pytest.raises(DeployError, match="needs 0014"):
        preflight.check_schemas(program("0014"), NOW, migrates=False)
    preflight.check_schemas(program("0013"), Running("0014", "0014", "0013"), migrates=False)


def test_an_image_that_failed_is_refused_by_its_digest_or_by_what_it_is_built_from() -> None:
    image = Image("localhost/todo-backend:1-bad", "sha256:bad", "1", "bad inputs")
    update_state.refuse(Refusal(image, "it ended", (), "2026-11-30T05:00:00+00:00"))
    with pytest.raises(DeployError, match="2026-11-30T05:00: it ended"):
        preflight.check_refused(digest="sha256:bad")
    with pytest.raises(DeployError, match="it ended"):
        preflight.check_refused(inputs="bad inputs")
    preflight.check_refused(digest="sha256:good", inputs="good inputs")
    update_state.accept(image)
    preflight.check_refused(digest="sha256:bad")


def test_an_image_of_unknown_inputs_refuses_no_other() -> None:
    image = Image("localhost/todo-backend:1-bad", "sha256:bad")
    update_state.refuse(Refusal(image, "it ended", (), "2026-11-30T05:00:00+00:00"))
    preflight.check_refused(digest="sha256:good", inputs="")


BACKUP = BackupStatus(
    folder="/backup",
    count=3,
    newest="20261130T030000Z",
    age_seconds=3600,
    bytes=1,
    total_bytes=3,
    last=Outcome("2026-11-30T03:00:00Z", ok=True),
    drill={"at": ago(3), "ok": True},
    wal=None,
)


def test_young_backups_are_relied_on() -> None:
    assert preflight.find_backup_problem(BACKUP) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"last": Outcome("x", ok=False, reason="disk full")}, "disk full"),
        ({"age_seconds": None}, "no backup"),
        ({"age_seconds": 3 * 86400}, "no backup"),
        ({"drill": None}, "no drill"),
        ({"drill": {"at": ago(3), "ok": False, "reason": "a row is missing"}}, "a row is missing"),
        ({"drill": {"at": ago(20), "ok": True}}, "no drill"),
    ],
)
def test_backups_that_failed_or_are_old_are_not_relied_on(
    change: dict[str, object], words: str
) -> None:
    changed = dataclasses.replace(BACKUP, **change)  # type: ignore[arg-type]
    assert words in preflight.find_backup_problem(changed)
