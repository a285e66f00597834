"""`build.py restore`: what its switches mean, and what it prints."""

from pathlib import Path

import pytest

from deploy.backup.restore import Outcome, Restored
from deploy.backup.target import Kind, Target
from deploy.cli.restore import Restore, render
from deploy.errors import DeployError, ExitCode
from deploy.update import begin
from deploy.upgrade import record

URL = "http://127.0.0.1:8000"


def test_two_targets_are_refused_before_anything_is_looked_at() -> None:
    with pytest.raises(DeployError, match="--to and --before are mutually exclusive") as caught:
        Restore.start(["build.py restore", "--to=2026-11-30T14:05", "--before=nightly-3"])
    assert caught.value.code == ExitCode.USAGE


def test_a_folder_is_not_looked_for_a_volume_that_is_there() -> None:
    with pytest.raises(
        DeployError, match="--to-volume and --from are mutually exclusive"
    ) as caught:
        Restore.start(["build.py restore", "--to-volume=todo-data", "--from=/mnt/backup"])
    assert caught.value.code == ExitCode.USAGE


def test_an_interrupted_upgrade_is_refused_before_anything_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(Restore, "elsewhere", lambda *_: None)
    monkeypatch.setattr(record, "_find_refusal", lambda: True)
    step = record.Step.SWITCH
    record.write(record.path(), record.Record(step, *("17", "18"), *("todo-data", "todo-data-18")))
    with pytest.raises(DeployError, match="an upgrade to PostgreSQL 18 was interrupted, and the"):
        Restore.start(["build.py restore", f"--from={tmp_path}"])


def test_a_target_that_cannot_be_read_is_refused_before_anything_is_looked_at() -> None:
    with pytest.raises(DeployError, match="--to: yesterday is not a valid time"):
        Restore.start(["build.py restore", "--to=yesterday"])


def test_an_update_that_cannot_go_back_without_a_database_does_not_prevent_a_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, bool]] = []
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(Restore, "elsewhere", lambda *_: None)
    monkeypatch.setattr(begin, "recover", lambda **given: asked.append(given))
    outcome = Outcome(Target(), "todo-data-1", None, None, URL)
    monkeypatch.setattr(Restore, "_restore", lambda *_: outcome)
    assert Restore.run(["build.py restore"], exit=False)[1] == 0
    assert asked == [{"must_start": False}]


def test_the_output_names_both_volumes_and_the_last_change() -> None:
    restored = Restored("20261130T031500Z", "2026-11-30 14:02:11.305122+00")
    target = Target(Kind.RUN, "nightly-3")
    shown = render(Outcome(target, "todo-data-1", "todo-data", restored, URL))
    assert shown.splitlines() == [
        "restored the moment before the run nightly-3, into the volume todo-data-1",
        "from the base backup 20261130T031500Z, last change: 2026-11-30 14:02:11.305122+00",
        "the former data is in the volume todo-data; to remove it: podman volume rm todo-data",
        "ready at http://127.0.0.1:8000",
    ]


def test_a_restore_that_an_earlier_run_had_made_says_so() -> None:
    shown = render(Outcome(Target(), "todo-data-1", None, None, URL))
    assert shown.splitlines()[1] == "it was restored and verified by an earlier run"


def test_a_volume_of_before_is_only_named() -> None:
    target = Target(Kind.VOLUME, "todo-data")
    shown = render(Outcome(target, "todo-data", "todo-data-1", None, URL))
    assert shown.splitlines()[0] == "the stack uses the volume todo-data"
    assert "volume todo-data-1" in shown
