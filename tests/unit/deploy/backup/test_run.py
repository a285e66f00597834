"""`build.py backup`: starts the service, waits for its end, and returns its outcome."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.backup import run
from deploy.errors import DeployError, ExitCode
from deploy.stack import backups, journal, systemd
from deploy.stack.systemd import UnitState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RUNNING = UnitState(active="activating", sub="start")
DONE = UnitState()


class Service:
    """A service that goes through states, and a folder with an outcome."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states = [RUNNING, RUNNING, DONE]
        self.ran: list[str] = []

    def systemctl(self, *arguments: str, check: bool = True) -> process.Completed:
        self.ran.append(" ".join(arguments))
        return process.Completed(arguments, int(not check), "", "")

    def state(self, _: str) -> UnitState:
        return self.states.pop(0)

    def record(self, *, ok: bool, reason: str = "") -> None:
        outcome = {
            "at": "2026-11-30T03:15:07Z",
            "ok": ok,
            "reason": reason,
            "seconds": 7,
            "bytes": 226_400_000,
            "stamp": "20261130T031500Z",
        }
        (self.folder / "state.json").write_text(json.dumps({"backup": outcome}))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service(tmp_path)
    monkeypatch.setattr(backups, "find_folder", lambda: tmp_path)
    monkeypatch.setattr(backups, "save_settings", lambda: service.ran.append("settings"))
    monkeypatch.setattr(systemd, "systemctl", service.systemctl)
    monkeypatch.setattr(systemd, "state", service.state)
    monkeypatch.setattr(run, "_POLL_S", 0.0)
    return service


def fail(service: Service, states: Sequence[UnitState]) -> DeployError:
    service.states = [RUNNING, *states]
    with pytest.raises(DeployError) as caught:
        run.run()
    assert caught.value.hint.endswith("logs backup")
    return caught.value


def test_the_outcome_is_one_line(service: Service) -> None:
    service.record(ok=True)
    line = run.render(run.run())
    assert line == "20261130T031500Z: 226.4 MB in 7 s, verified"
    start = "start --no-block todo-backup.service"
    assert service.ran == ["settings", "reset-failed todo-backup.service", start]
    assert not service.states


@pytest.mark.parametrize(
    ("status", "code"),
    [(74, ExitCode.NO_SPACE), (69, ExitCode.UNAVAILABLE), (1, ExitCode.FAILED)],
)
def test_a_failure_has_the_scripts_own_words_and_exit_code(
    service: Service, monkeypatch: pytest.MonkeyPatch, status: int, code: ExitCode
) -> None:
    service.record(ok=False, reason="no space")
    monkeypatch.setattr(journal, "last_line", lambda *_: "todo-backup: no space: free some")
    error = fail(service, [UnitState(active="failed", result="exit-code", status=status)])
    assert error.message == f"the backup failed (exit code {status}): no space: free some"
    assert error.code == code


def test_a_killed_run_is_a_failure_whatever_the_last_outcome_was(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.record(ok=True)
    monkeypatch.setattr(journal, "last_line", lambda *_: "")
    error = fail(service, [UnitState(active="failed", result="signal", signaled=True, status=9)])
    assert error.message == "the backup failed: its log does not say why"
