"""The stack in one object: what is found out, and why something is not."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.errors import DeployError
from deploy.stack import drift, install, instances, management, overview, ports, status
from deploy.stack.addresses import parse
from deploy.stack.services import BACKEND, DB, MANAGEMENT, SOCKET

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

STATES = """\
Id=todo-backend.socket
ActiveState=active
SubState=running
ActiveEnterTimestamp=@1796009428

Id=todo-db.service
ActiveState=failed
SubState=failed
Result=exit-code
ExecMainCode=1
ExecMainStatus=78
NRestarts=3
InactiveEnterTimestamp=@1796009428

Id=todo-backend.service
ActiveState=active
SubState=running
InactiveEnterTimestamp=
"""


class FakeMachine:
    """Programs that answer as a test says.

    Attributes:
        failing: Programs that cannot be run.
        image: What Podman prints of an image.
        states: What systemd prints of the units.
    """

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.states = STATES
        labels = {
            "org.opencontainers.image.version": "0.1.0",
            "org.opencontainers.image.revision": "",
            "org.opencontainers.image.created": "2026-11-29T00:00:00+00:00",
        }
        self.image = json.dumps([{"Id": "abd", "Labels": labels, "Size": 7}])

    def run(self, argv: Sequence[str], **_: object) -> process.Completed:
        if argv[0] in self.failing:
            raise DeployError(f"{argv[0]} does not answer", hint="try again")
        said = ""
        if argv[:3] == ["systemctl", "--user", "show"] and "--timestamp=unix" in argv:
            said = self.states
        elif argv[:3] == ["podman", "container", "inspect"] and "Health" in argv[3]:
            said = "todo-backend\thealthy\tabc\tlocalhost/todo-backend:latest\n"
        elif argv[:3] == ["podman", "image", "inspect"]:
            said = self.image
        elif argv[:3] == ["podman", "volume", "inspect"]:
            said = "/data\n"
        elif argv[:3] == ["podman", "unshare", "stat"] and argv[-1] == "/data":
            said = "4096 1000 400 0 0\n"
        return process.Completed(tuple(argv), 0, said, "")

    def follow(self, argv: Sequence[str]) -> Generator[str, None, None]:
        if argv[0] in self.failing:
            raise DeployError(f"{argv[0]} does not answer")
        yield json.dumps(
            {
                "MESSAGE": '{"level": "ERROR", "message": "bad"}',
                "CONTAINER_NAME": "todo-backend",
                "__REALTIME_TIMESTAMP": "1796009428000000",
            }
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeMachine:
    """A stack whose database failed, and whose backend answers."""
    machine = FakeMachine()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    monkeypatch.setattr(process, "run", machine.run)
    monkeypatch.setattr(process, "follow", machine.follow)
    monkeypatch.setattr(drift, "find_outdated", dict)
    monkeypatch.setattr(drift, "find_unread", lambda: {BACKEND: "its files changed"})
    ready = status.Readiness("http://a", ready=True, reason="", state="ready", answers=True)
    monkeypatch.setattr(status, "check", lambda _unit: ready)
    ports_of = {SOCKET: 1, MANAGEMENT: 2, "todo-management@2.socket": 3}
    monkeypatch.setattr(ports, "loaded", lambda unit=SOCKET: [parse(f"127.0.0.1:{ports_of[unit]}")])
    monkeypatch.setattr(management, "fetch_figures", lambda address: f"figures of {address.text}")
    install.install(install.shipped())
    return machine


def test_units_have_state_health_and_the_time_of_their_state(machine: FakeMachine) -> None:
    assert machine.failing == set()
    units = {unit.unit: unit for unit in overview.find().units}

    assert list(units) == [SOCKET, MANAGEMENT, DB, "todo-migrate.service", BACKEND]
    assert units[SOCKET].since == "2026-11-30T03:30:28+00:00"
    assert (units[DB].active, units[DB].restarts) == ("failed", 3)
    assert units[DB].cause == "exit code 78: an option is missing, unknown or invalid"
    assert units[BACKEND].health == "healthy"
    assert units[BACKEND].image_name == "localhost/todo-backend:latest"
    assert units[BACKEND].since is None
    assert units[BACKEND].differs == "its files changed"
    assert units["todo-migrate.service"].active == "unknown"


def test_images_have_their_labels_and_when_they_were_built_here(
    machine: FakeMachine, tmp_path: Path
) -> None:
    record = tmp_path / "STATE_HOME/todo-backend/images/todo-backend.cdx.json"
    record.parent.mkdir(parents=True)
    record.touch()
    os.utime(record, (1796009428, 1796009428))
    found = {image.name: image for image in overview.find().images}

    assert machine.failing == set()
    backend = found["localhost/todo-backend:latest"]
    assert backend.units == ("todo-migrate.service", BACKEND)
    assert (backend.id, backend.version, backend.revision) == ("abd", "0.1.0", None)
    assert backend.built_at == "2026-11-30T03:30:28+00:00"
    assert found["localhost/todo-db:latest"].built_at is None


def test_the_object_for_programs_is_json_with_every_part(machine: FakeMachine) -> None:
    assert machine.failing == set()
    shown = json.loads(json.dumps(overview.to_json_dict(overview.find())))

    assert shown["format"] == 1
    assert shown["unknown"] == {}
    assert shown["instances"] == [
        {
            "unit": BACKEND,
            "management": "http://127.0.0.1:2",
            "figures": "figures of 127.0.0.1:2",
            "unknown": None,
        }
    ]
    assert shown["errors"]["latest"][0]["message"] == "bad"
    assert shown["disks"] == [
        {
            "holds": "todo-data",
            "path": "/data",
            "total_bytes": 4096000,
            "free_bytes": 1638400,
            "free_inodes": None,
        }
    ]
    assert datetime.fromisoformat(shown["at"]).tzinfo == UTC


@pytest.mark.parametrize(
    ("program", "parts"),
    [
        ("podman", {"containers", "images", "disks"}),
        ("journalctl", {"errors"}),
        ("systemctl", {"units"}),
    ],
)
def test_a_part_that_cannot_be_found_out_says_why_and_the_rest_is_there(
    machine: FakeMachine, program: str, parts: set[str]
) -> None:
    machine.failing = {program}
    found = overview.find()

    assert set(found.unknown) == parts
    assert set(found.unknown.values()) == {f"{program} does not answer"}
    assert found.ready
    assert found.instances[0].figures


def test_output_that_is_not_understood_is_a_reason_and_not_a_traceback(
    machine: FakeMachine,
) -> None:
    machine.image = "[]"
    found = overview.find()

    assert set(found.unknown) == {"images"}
    assert found.unknown["images"].startswith("ValueError: not enough values")


def test_a_backend_that_does_not_answer_gets_no_further_request(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A connection would start it where it is down, and wait where it hangs.
    down = status.Readiness("http://a", ready=False, reason="todo-backend.service is failed")
    monkeypatch.setattr(status, "check", lambda _unit: down)
    monkeypatch.setattr(management, "fetch_figures", lambda _address: pytest.fail("a request"))

    assert machine.failing == set()
    (instance,) = overview.find().instances
    assert instance.unknown == "todo-backend.service is failed"


def test_a_broken_file_or_record_is_one_reason(machine: FakeMachine, tmp_path: Path) -> None:
    assert machine.failing == set()
    (tmp_path / "STATE_HOME/todo-backend/installed.json").write_text("{")
    found = overview.find()

    assert "installed.json is damaged" in found.unknown["units"]
    assert [unit.unit for unit in found.units] == [SOCKET]
    assert found.ready


def test_where_systemd_does_not_answer_the_verdict_says_so(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_unit: str) -> status.Readiness:
        raise DeployError("systemctl failed with exit code 1: Failed to connect to bus")

    assert machine.failing == set()
    monkeypatch.setattr(status, "check", fail)
    found = overview.find()
    assert (found.state, found.ready) == ("unknown", False)
    assert "Failed to connect to bus" in found.reason


def test_each_instance_has_its_figures_and_its_trouble(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.failing == set()
    second = "todo-backend@2.service"
    install.install({**install.shipped(), **instances.find_units(2)})
    loops = status.Readiness("http://a", ready=False, reason=f"{BACKEND} is activating")
    serves = status.Readiness("http://a", ready=True, reason="", state="ready", answers=True)
    checked = {BACKEND: loops, second: serves}
    monkeypatch.setattr(status, "check", checked.__getitem__)
    again = STATES + f"\nId={second}\nActiveState=active\nSubState=running\nNRestarts=2\n"
    monkeypatch.setattr(machine, "states", again)
    found = overview.find()

    assert found.ready
    assert [(each.unit, each.figures, each.unknown) for each in found.instances] == [
        (BACKEND, None, loops.reason),
        (second, "figures of 127.0.0.1:3", None),
    ]
    units = {unit.unit: unit for unit in found.units}
    assert units[second].cause == "restarted 2 times"
