"""Explanations of `status` for units that are not up, from systemd, Quadlet and the journal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.cli import status_table
from deploy.stack import drift, install, instances, management, overview, quadlet, status, systemd
from deploy.stack.services import BACKEND, SERVICES, SOCKET
from deploy.stack.systemd import UnitState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deploy.stack.addresses import Address


class FakeMachine:
    """Programs that print what a test gives them.

    Attributes:
        journal: The entries that journalctl chooses from.
        rejected: The container files of which Quadlet makes no unit.
    """

    def __init__(self) -> None:
        self.journal: list[dict[str, str]] = []
        self.rejected: dict[str, str] = {}

    def run(self, argv: Sequence[str], **_: object) -> process.Completed:
        program, *arguments = argv
        stdout = stderr = ""
        if program == "journalctl":
            wanted = [word.partition("=") for word in arguments if not word.startswith("-")]
            for entry in self.journal:
                if all(entry.get(key) == value for key, _, value in wanted):
                    stdout += json.dumps(entry) + "\n"
        elif program.endswith("podman-user-generator"):
            for name, reason in self.rejected.items():
                stderr += f'quadlet-generator[7]: converting "{name}": {reason}\n'
        elif program == "systemctl":
            stdout = "NeedDaemonReload=yes\nActiveState=inactive\n"
        return process.Completed(tuple(argv), 0, stdout, stderr)


def iter_nothing() -> Iterator[str]:
    yield from ()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeMachine:
    machine = FakeMachine()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    monkeypatch.setattr(process, "run", machine.run)
    monkeypatch.setattr(process, "follow", lambda _argv: iter_nothing())
    (tmp_path / "podman-user-generator").touch()
    monkeypatch.setattr(quadlet, "_FOLDERS", (str(tmp_path),))
    return machine


def of_socket(message: str) -> dict[str, str]:
    return {
        "USER_UNIT": SOCKET,
        "SYSLOG_IDENTIFIER": "systemd",
        "USER_INVOCATION_ID": "a",
        "MESSAGE": message,
    }


def test_a_socket_that_failed_says_which_address_and_why(machine: FakeMachine) -> None:
    machine.journal = [
        of_socket(f"{SOCKET}: Failed to create listening socket (1.2.3.4:8): Address not there"),
        of_socket(f"{SOCKET}: Failed to listen on sockets: Address not there"),
        of_socket(f"{SOCKET}: Failed with result 'resources'."),
        of_socket("Failed to listen on todo-backend.socket - Sockets of the todo backend."),
    ]
    failed = UnitState("failed", "failed", "resources", invocation="a")
    assert status.describe(SOCKET, failed) == (
        "todo-backend.socket is failed: Failed to create listening socket (1.2.3.4:8): "
        "Address not there (it cannot listen)"
    )


def test_a_first_start_that_hangs_shows_the_last_line_of_its_log(machine: FakeMachine) -> None:
    container = {"CONTAINER_NAME": "todo-backend", "SYSLOG_IDENTIFIER": "todo-backend"}
    machine.journal = [
        {**container, "_SYSTEMD_INVOCATION_ID": "a", "MESSAGE": "waiting for the schema"},
        {**container, "_SYSTEMD_INVOCATION_ID": "old", "MESSAGE": "out of luck"},
    ]
    starting = UnitState("activating", "start", has_job=True, invocation="a")
    assert status.describe(BACKEND, starting) == (
        "todo-backend.service is activating (start): waiting for the schema"
    )


def test_what_quadlet_rejects_is_said_and_restart_is_not_said_to_apply_it(
    machine: FakeMachine,
) -> None:
    container = BACKEND.replace(".service", ".container")
    install.install({container: "[Container]\nPulll=never\n"})
    machine.rejected = {container: "unsupported key 'Pulll' in group 'Container'"}
    differing = drift.find_unread()
    assert differing[BACKEND] == (
        "Quadlet does not accept todo-backend.container: "
        f"converting \"{container}\": unsupported key 'Pulll' in group 'Container'"
    )
    lines = drift.describe(differing)
    assert not any("applies" in line for line in lines)
    assert lines[-1] == "correct the file, or your drop-in for it, then: python3 build.py restart"


def test_units_that_are_not_installed_are_not_rejected(machine: FakeMachine) -> None:
    assert machine.rejected == {}
    assert not any(quadlet.REJECTED in why for why in drift.find_unread().values())


@pytest.mark.parametrize("installed", [True, False])
def test_a_stack_that_was_stopped_is_told_from_one_that_is_not_installed(
    machine: FakeMachine, *, installed: bool
) -> None:
    assert machine.rejected == {}
    if installed:
        install.install({BACKEND.replace(".service", ".container"): "[Container]\n"})
    shown = status_table.render(overview.find())
    state = "stopped" if installed else "not installed"
    assert shown.endswith(f"\n{state}: python3 build.py up starts it\n")


def test_what_differs_otherwise_is_applied_by_restart() -> None:
    units = tuple(
        overview.UnitStatus(unit, "active", "running", 0, differs="its files changed")
        for unit in SERVICES
    )
    shown = status_table.render(overview.Overview(None, ready=False, reason="down", units=units))
    assert "python3 build.py restart applies its files\n" in shown


@pytest.mark.parametrize("accepts", [True, False])
def test_an_instance_that_does_not_accept_yet_is_not_ready(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, *, accepts: bool
) -> None:
    assert machine.rejected == {}
    second = "todo-backend@2.service"
    install.install({**install.shipped(), **instances.find_units(2)})
    up = UnitState("active", "running", invocation="b")
    monkeypatch.setattr(systemd, "state", lambda _unit: up)
    monkeypatch.setattr(systemd, "is_active", lambda _unit: True)
    monkeypatch.setattr(
        systemd, "listening", lambda unit: [f"127.0.0.1:{9001 if '@2' in unit else 8000}"]
    )
    asked = []

    def get(address: Address, path: str) -> tuple[int, bytes]:
        asked.append((address.port, path))
        return 200, f"\ntodo_accepting {accepts:.1f}\n".encode()

    monkeypatch.setattr(management, "get", get)
    now = status.check(second)
    assert asked == [(9001, "/readyz"), (9001, "/metrics")]
    assert (now.ready, now.answers) == (accepts, True)
    assert now.reason == ("" if accepts else f"{second} does not accept connections yet")
