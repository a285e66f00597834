"""Updates by a timer: off unless wanted, for this checkout, and not while the stack is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import paths, process
from deploy.cli.up import Up
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import install, lifecycle, overview, systemd, up, update_timer
from deploy.stack.services import SOCKET, UPDATE, UPDATE_TIMER, find_services, find_timers
from deploy.stack.systemd import UnitState
from deploy.units.loader import load_units
from tests.unit.deploy.stack.willing_host import Host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A user for whom nothing is installed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    host = Host()
    monkeypatch.setattr(process, "run", host.run)
    monkeypatch.setattr(up, "build", lambda *_, **__: [])
    monkeypatch.setattr(lifecycle, "LINGERING", tmp_path)
    monkeypatch.setattr(lifecycle, "start", lambda *_, **__: "http://127.0.0.1:8000")
    monkeypatch.setattr(systemd, "is_active", lambda _unit: False)
    return host


def start(*, updates: bool | None = None) -> None:
    up.up(build.Options(), updates=updates)


def test_a_stack_has_no_timer_unless_it_is_wanted(host: Host) -> None:
    start()
    assert find_timers() == ()
    assert not host.find("enable", UPDATE_TIMER)
    assert UPDATE_TIMER not in install.read_installed()


def test_the_timer_stays_until_it_is_not_wanted_any_more(host: Host, tmp_path: Path) -> None:
    start(updates=True)
    assert find_timers() == (UPDATE_TIMER,)
    assert host.find("enable", "--now", UPDATE_TIMER)
    service = install.installed_text(UPDATE) or ""
    program = f'ExecStart=/usr/bin/env python3 "{paths.REPO}/build.py" update --no-cache --no-lab\n'
    assert program in service
    assert f'Environment="XDG_STATE_HOME={tmp_path}/xdg_state_home"\n' in service
    assert "XDG_CACHE_HOME" not in service
    # By which `logs update` finds it.
    assert f"SyslogIdentifier={UPDATE.removesuffix('.service')}\n" in service

    host.ran.clear()
    start()
    assert install.installed_text(UPDATE) == service
    # `down` has stopped it.
    assert host.find("enable", "--now", UPDATE_TIMER)

    start(updates=False)
    assert host.find("disable", "--now", UPDATE_TIMER)
    assert find_timers() == ()
    assert not install.destination(UPDATE).exists()
    host.ran.clear()
    start()
    assert not host.find(UPDATE_TIMER)


def test_an_installation_does_not_start_it(host: Host) -> None:
    assert {UPDATE, UPDATE_TIMER} <= up.install(build.Options(), updates=True)
    assert not host.find("enable", UPDATE_TIMER)


def test_down_stops_it_and_status_shows_its_service(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(updates=True)
    host.ran.clear()
    lifecycle.stop()
    assert host.ran[0][2:5] == ["stop", UPDATE_TIMER, SOCKET]
    # It has no container.
    assert UPDATE not in find_services()
    failed = UnitState("failed", "failed", "exit-code", status=81)
    monkeypatch.setattr(
        systemd,
        "states",
        lambda units: {unit: failed if unit == UPDATE else UnitState() for unit in units},
    )
    (row,) = (unit for unit in overview.find().units if unit.unit == UPDATE)
    assert (row.active, row.cause) == ("failed", "exit code 81")


def test_it_runs_each_day_and_makes_up_for_a_time_when_the_machine_was_off() -> None:
    (unit,) = (each for each in load_units(update=True) if each.name == UPDATE_TIMER)
    assert unit.get("Timer", "Persistent").value == "true"
    assert unit.find("Timer", "RandomizedDelaySec")
    assert unit.get("Timer", "OnCalendar").value.startswith("*-*-* ")
    assert UPDATE_TIMER not in {each.name for each in load_units()}


def test_a_checkout_with_special_characters_is_quoted() -> None:
    text = update_timer.render_service('/srv/my "50%" $todo\\x/build.py', {})
    assert r'python3 "/srv/my \"50%%\" $$todo\\x/build.py" update' in text
    assert "Environment" not in text


def test_a_checkout_that_a_unit_cannot_name_is_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "REPO", tmp_path / "my\ntodo")
    with pytest.raises(DeployError, match="has characters that a unit cannot contain") as caught:
        start(updates=True)
    assert caught.value.code == ExitCode.CONFIG
    assert host.ran == []


def test_the_switches_exclude_each_other() -> None:
    command = Up("up")
    command.update_timer = command.no_update_timer = True
    with pytest.raises(DeployError, match="are mutually exclusive"):
        command.check_switches()


@pytest.mark.parametrize(
    ("on", "off", "wanted"), [(False, False, None), (True, False, True), (False, True, False)]
)
def test_a_command_line_says_what_is_wanted(*, on: bool, off: bool, wanted: bool | None) -> None:
    command = Up("up")
    command.update_timer, command.no_update_timer = on, off
    assert command.wants_update_timer() is wanted
