"""`build.py drill`: starts the service, waits for its end, and returns its outcome."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.backup import drill
from deploy.errors import DeployError, ExitCode
from deploy.stack import backups, journal, systemd
from deploy.stack.systemd import UnitState

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = UnitState(active="activating", sub="start")
GOOD: dict[str, object] = {
    "at": "2026-11-30T05:00:07Z",
    "ok": True,
    "reason": "",
    "rpo_seconds": 0.0,
    "rto_seconds": 38.2,
    "rows": 184_211,
}


class Service:
    """A service that runs for a while, then ends and records an outcome."""

    def __init__(self, folder: Path) -> None:
        self.state_file = folder / "state.json"
        self.ran: list[str] = []
        self.outcome: dict[str, object] | None = GOOD
        self.end = UnitState()
        self._polls = 3

    def systemctl(self, *arguments: str, check: bool = True) -> process.Completed:
        self.ran.append(" ".join(arguments))
        return process.Completed(arguments, int(not check), "", "")

    def state(self, _: str) -> UnitState:
        self._polls -= 1
        if self._polls:
            return RUNNING
        if self.outcome is not None:
            self.state_file.write_text(json.dumps({"backup": {}, "drill": self.outcome}))
        return self.end


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service(tmp_path)
    monkeypatch.setattr(backups, "find_folder", lambda: tmp_path)
    monkeypatch.setattr(systemd, "systemctl", service.systemctl)
    monkeypatch.setattr(systemd, "state", service.state)
    monkeypatch.setattr(journal, "last_line", lambda *_: "out of memory")
    monkeypatch.setattr(drill, "_POLL_S", 0.0)
    return service


def test_a_drill_is_waited_for_and_its_figures_are_shown(service: Service) -> None:
    assert drill.render(drill.run()) == (
        "the backup is complete: 184211 rows restored and verified in 38.2 s (RTO), "
        "0 s of changes lost (RPO)"
    )
    assert service.ran[-1] == "start --no-block todo-drill.service"


@pytest.mark.parametrize(
    ("status", "code"), [(2, ExitCode.DATA), (69, ExitCode.UNAVAILABLE), (1, ExitCode.FAILED)]
)
def test_the_recorded_reason_is_the_error(service: Service, status: int, code: ExitCode) -> None:
    service.outcome = {**GOOD, "ok": False, "reason": "WAL file X is missing in the backup"}
    service.end = UnitState(active="failed", status=status)
    message = "the drill failed: WAL file X is missing in the backup — see .*logs drill drill-db"
    with pytest.raises(DeployError, match=message) as caught:
        drill.run()
    assert caught.value.code == code


def test_an_older_outcome_is_not_taken_for_that_of_this_drill(service: Service) -> None:
    service.state_file.write_text(json.dumps({"drill": {**GOOD, "ok": False, "reason": "old"}}))
    service.outcome = None
    service.end = UnitState(active="failed", status=137)
    with pytest.raises(DeployError, match="the drill failed: out of memory"):
        drill.run()


def test_a_service_that_ended_without_an_outcome_failed(service: Service) -> None:
    service.outcome = None
    with pytest.raises(DeployError, match="the drill failed: out of memory"):
        drill.run()


def test_a_malformed_record_is_one_line(service: Service) -> None:
    service.state_file.write_text("[")
    with pytest.raises(
        DeployError,
        match=r"state\.json cannot be read: .* — move it aside, and run the drill again",
    ):
        drill.run()
