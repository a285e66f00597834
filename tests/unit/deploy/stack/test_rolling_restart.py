"""Restart of several instances: one after the other, and no further than the first that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.errors import DeployError
from deploy.stack import (
    addresses,
    drift,
    install,
    instances,
    lifecycle,
    local_model,
    ports,
    readiness,
    startup,
)
from deploy.stack.local_model import UNCHANGED
from deploy.stack.services import BACKEND, CANDIDATE, CANDIDATE_SOCKETS, MANAGEMENT, SOCKET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECOND, THIRD = "todo-backend@2.service", "todo-backend@3.service"


class FakeHost:
    """A host with the units of three instances, noting what happens to them.

    Attributes:
        events: What happened, in order.
        broken: The instance that does not get ready.
        inactive: Units that are down.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.broken = ""
        self.inactive: set[str] = set()

    def run(self, argv: Sequence[str], **_: object) -> process.Completed:
        words = list(argv)
        out = ""
        if words[:3] == ["systemctl", "--user", "show"]:
            out = "ActiveState=inactive\n" if words[3] in self.inactive else "ActiveState=active\n"
        elif words[:3] in (["systemctl", "--user", "stop"], ["systemctl", "--user", "start"]):
            self.events.append(" ".join(words[2:]))
        return process.Completed(tuple(argv), 1 if words[0] == "podman" else 0, out, "")

    def run_job(self, verb: str, unit: str, _step: object) -> None:
        self.events.append(f"{verb} {unit}")

    def wait_instance(self, unit: str, _step: object) -> str:
        if unit == self.broken:
            message = f"{unit} is not ready"
            raise DeployError(message)
        self.events.append(f"ready {unit}")
        return "http://127.0.0.1:8000"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    host = FakeHost()
    monkeypatch.setattr(process, "run", host.run)
    monkeypatch.setattr(startup, "run_job", host.run_job)
    monkeypatch.setattr(readiness, "wait_instance", host.wait_instance)
    monkeypatch.setattr(readiness, "wait", lambda: "http://127.0.0.1:8000")
    monkeypatch.setattr(drift, "find_unread", dict)
    monkeypatch.setattr(drift, "find_outdated", dict)
    monkeypatch.setattr(ports, "find_unlistened", lambda _unit: [])
    monkeypatch.setattr(addresses.Address, "find_bind_error", lambda _self: 0)
    return host


def set_up(number: int) -> None:
    install.install({**local_model.find_units(UNCHANGED), **instances.find_units(number)})


def test_each_instance_is_ready_before_the_next_one_is_restarted(host: FakeHost) -> None:
    set_up(3)
    lifecycle.restart()
    expected = [
        f"{what} {unit}" for unit in (BACKEND, SECOND, THIRD) for what in ("restart", "ready")
    ]
    assert host.events == expected


def test_an_instance_that_does_not_get_ready_ends_the_restart(host: FakeHost) -> None:
    set_up(3)
    host.broken = SECOND
    with pytest.raises(DeployError, match=r"2\.service is not ready"):
        lifecycle.restart()
    assert host.events[-1] == f"restart {SECOND}"


def test_a_single_instance_is_restarted_as_before(host: FakeHost) -> None:
    set_up(1)
    lifecycle.restart()
    assert host.events == [f"restart {BACKEND}"]


def test_a_changed_public_socket_takes_all_instances_along(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(2)
    monkeypatch.setattr(drift, "find_outdated", lambda: {SOCKET: "its file changed"})
    lifecycle.restart()
    assert host.events[:2] == [f"stop {SOCKET} {BACKEND} {SECOND}", f"start {SOCKET}"]


def test_a_changed_management_socket_takes_only_its_instance_along(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(3)
    unit = "todo-management@2.socket"
    monkeypatch.setattr(drift, "find_outdated", lambda: {unit: "its file changed"})
    lifecycle.restart()
    assert host.events[:2] == [f"stop {unit} {SECOND}", f"start {unit}"]


def test_instances_that_are_not_wanted_any_more_are_stopped_while_their_units_are_there(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lifecycle, "LINGERING", tmp_path)
    set_up(3)
    lifecycle.prepare(number=1)
    stopped = [
        f"stop todo-management@{number}.socket todo-backend@{number}.service" for number in (2, 3)
    ]
    assert host.events == stopped
    assert instances.count() == 1


def test_down_stops_the_sockets_first(host: FakeHost) -> None:
    set_up(2)
    lifecycle.stop()
    assert host.events[0] == f"stop {SOCKET} {MANAGEMENT} todo-management@2.socket"
    assert host.events[1] == f"stop {' '.join(CANDIDATE_SOCKETS)} {CANDIDATE}"
    assert host.events[2:4] == [f"stop {SECOND}", f"stop {BACKEND}"]


@pytest.mark.parametrize("both", [True, False])
def test_an_installation_with_both_addresses_in_one_unit_keeps_them(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, both: bool
) -> None:
    assert host.events == []
    monkeypatch.setattr(lifecycle, "LINGERING", tmp_path)
    port = 9000 if both else 9090
    path = install.destination(f"{SOCKET}.d/override.conf")
    path.parent.mkdir(parents=True)
    text = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\nListenStream=127.0.0.1:{port}\n"
    path.write_text(text)
    lifecycle.prepare()
    assert (install.installed_text(MANAGEMENT) is None) is both
    expected = ["127.0.0.1:8080", f"127.0.0.1:{port}", *([] if both else ["127.0.0.1:9000"])]
    assert [address.text for address in ports.defined()] == expected
    ports.check_defined(ports.defined(), ours=())
    assert path.read_text() == text
