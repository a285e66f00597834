"""Ports of the stack on a real network stack and file system."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import definition, install, ports
from deploy.stack.services import SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        yield squatter.getsockname()[1]


def write_drop_in(name: str, text: str) -> None:
    path = install.destination(f"{SOCKET}.d/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_taken_port_is_refused_with_the_switch_that_chooses_another(taken: int) -> None:
    with pytest.raises(DeployError, match=f"port {taken} on 127.0.0.1 is taken") as caught:
        ports.check(taken, management=9000)
    assert "--port N" in caught.value.hint
    assert caught.value.code == ExitCode.CONFIG


def test_a_port_of_the_stack_itself_is_not_taken(taken: int) -> None:
    ports.check(taken, management=9000, ours={taken})


def test_the_management_port_is_refused() -> None:
    with pytest.raises(DeployError, match="port 9000 is the management port"):
        ports.check(9000, management=9000)


def test_a_taken_management_port_is_changed_elsewhere_than_by_the_switch(taken: int) -> None:
    with pytest.raises(DeployError) as caught:
        ports.check_defined(["127.0.0.1:18000", f"127.0.0.1:{taken}"], ours={18000})
    assert "--port" not in caught.value.hint
    assert "systemctl --user edit" in caught.value.hint


def test_an_address_that_occurs_twice_is_refused() -> None:
    with pytest.raises(DeployError, match="twice"):
        ports.check_defined(["127.0.0.1:18000"] * 2, ours={18000})


def test_addresses_are_those_after_the_last_reset_in_the_order_of_the_files() -> None:
    install.install({SOCKET: "[Socket]\nListenStream=1.1.1.1:1\n"})
    write_drop_in("20-b.conf", "[Socket]\nListenStream=127.0.0.1:2\n")
    write_drop_in("10-a.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:3\n")
    assert ports.defined() == ["127.0.0.1:3", "127.0.0.1:2"]


def test_the_same_drop_in_counts_once_from_the_most_important_folder(home: Path) -> None:
    install.install({SOCKET: "[Socket]\n"})
    write_drop_in("10-a.conf", "[Socket]\nListenStream=127.0.0.1:1\n")
    control = home / "CONFIG_HOME/systemd/user.control" / f"{SOCKET}.d"
    control.mkdir(parents=True)
    (control / "10-a.conf").write_text("[Socket]\nListenStream=127.0.0.1:2\n")
    assert ports.defined() == ["127.0.0.1:2"]


def test_a_container_has_the_drop_ins_of_its_service_behind_its_own() -> None:
    install.install({"todo-db.container": "[Service]\nMemoryMax=1\n"})
    for name, value in (("todo-db.container.d/90-a.conf", 2), ("todo-db.service.d/10-b.conf", 3)):
        path = install.destination(name)
        path.parent.mkdir(parents=True)
        path.write_text(f"[Service]\nMemoryMax={value}\n")
    unit = definition.load("todo-db.container")
    assert [each.value for each in unit.find_all("Service", "MemoryMax")] == ["1", "2", "3"]


def test_a_drop_in_that_would_win_over_the_switch_is_named() -> None:
    install.install({SOCKET: "[Socket]\nListenStream=127.0.0.1:1\n"})
    ports.check_movable(18000)
    write_drop_in("override.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:2\n")
    with pytest.raises(DeployError, match=r"override\.conf sets the addresses"):
        ports.check_movable(18000)


def test_the_dropin_of_the_switch_keeps_the_management_address() -> None:
    install.install({SOCKET: install.shipped()[SOCKET], ports.DROPIN: ports.render_dropin(18000)})
    public, management = ports.defined()
    assert public == "127.0.0.1:18000"
    assert ports.management_port([public, management]) == ports.shipped_management_port()
