"""Ports of the stack on a real network stack and file system."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import addresses, definition, install, ports
from deploy.stack.services import MANAGEMENT, SOCKET

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.stack.addresses import Address

FREE = "127.0.0.1:22441"


pytestmark = pytest.mark.usefixtures("home")


def at(text: str) -> Address:
    return addresses.parse(text)


def write_drop_in(name: str, text: str) -> None:
    path = install.destination(f"{SOCKET}.d/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_taken_port_is_refused_with_the_switch_that_chooses_another(taken: int) -> None:
    with pytest.raises(DeployError, match=f"port {taken} on 127.0.0.1 is taken") as caught:
        ports.check(taken, management={9000})
    assert "--port N" in caught.value.hint
    assert caught.value.code == ExitCode.CONFIG


def test_a_port_of_the_stack_itself_is_not_taken(taken: int) -> None:
    ports.check(taken, management={9000}, ours={at(f"127.0.0.1:{taken}")})


def test_the_management_port_is_refused() -> None:
    with pytest.raises(DeployError, match="port 9000 is a management port"):
        ports.check(9000, management={9000, 9001})


def test_a_taken_management_port_is_changed_elsewhere_than_by_the_switch(taken: int) -> None:
    with pytest.raises(DeployError) as caught:
        ports.check_defined([at(FREE), at(f"127.0.0.1:{taken}")], ours=())
    assert "--port" not in caught.value.hint
    assert f"{MANAGEMENT}.d/60-address.conf" in caught.value.hint


def test_an_address_that_occurs_twice_is_refused() -> None:
    with pytest.raises(DeployError, match="twice"):
        ports.check_defined([at(FREE)] * 2, ours={at(FREE)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("22441", FREE),
        (FREE, "[::]:22441"),
        ("0.0.0.0:22441", FREE),
        ("[::]:22441", "0.0.0.0:22441"),
    ],
)
def test_an_address_for_everything_excludes_the_others_of_its_port(one: str, other: str) -> None:
    with pytest.raises(DeployError, match="one includes the other"):
        ports.check_defined([at(one), at(other)], ours={at(FREE)})


def test_an_ipv6_address_may_leave_out_ipv4() -> None:
    ports.check_defined([at("[::]:22441"), at("0.0.0.0:22441")], ours=(), ipv6_only=True)


def test_a_socket_may_move_from_one_address_of_its_port_to_all(taken: int) -> None:
    ours = {at(f"127.0.0.1:{taken}")}
    ports.check_defined([at(f"0.0.0.0:{taken}")], ours)
    with pytest.raises(DeployError, match="taken"):
        ports.check_defined([at(f"0.0.0.0:{taken}")], ours=())


def test_a_port_of_the_stack_at_another_address_does_not_make_it_listenable(taken: int) -> None:
    # The stack has the port at 127.0.0.2, and another program has it here.
    with pytest.raises(DeployError, match=f"port {taken} on 127.0.0.1 is taken"):
        ports.check_defined([at(f"127.0.0.1:{taken}")], ours={at(f"127.0.0.2:{taken}")})


def test_an_address_of_another_machine_is_not_said_to_be_taken() -> None:
    # 192.0.2.0/24 is for documentation (RFC 5737).
    ours = {at("127.0.0.1:8000")}
    with pytest.raises(DeployError, match=r"192\.0\.2\.9 is not an address of this machine"):
        ports.check_defined([at("192.0.2.9:8000")], ours)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("127.0.0.1:99999", "a port must be a number from 1 to 65535"),
        ("99999", "a port must be a number from 1 to 65535"),
        ("localhost:80", "an address must be IPV4:PORT"),
        ("::1:80", "an address must be IPV4:PORT"),
        ("run/todo.sock", "an address must be IPV4:PORT"),
        (f"/{'x' * 107}", "at most 107 bytes"),
    ],
)
def test_what_is_not_an_address_is_refused_with_its_file_and_line(value: str, reason: str) -> None:
    install.install({SOCKET: f"[Socket]\nListenStream={value}\n"})
    with pytest.raises(DeployError, match=reason) as caught:
        ports.defined()
    assert caught.value.hint == f"correct it in {install.destination(SOCKET)}:2"


def test_a_unix_socket_is_an_address(home: Path) -> None:
    install.install({SOCKET: "[Socket]\nListenStream=%t/todo.sock\n"})
    (address,) = ports.defined()
    assert address.path == f"{home}/RUNTIME_DIR/todo.sock"
    assert address.url == f"unix:{address.path}"
    ports.check_defined([address], ours=())


def test_a_unix_socket_that_is_listened_on_is_known_and_taken_for_others(home: Path) -> None:
    path = home / "todo.sock"
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(str(path))
        squatter.listen()
        assert at(str(path)) in addresses.find_listening()
        ports.check_defined([at(str(path))], ours={at(str(path))})
        with pytest.raises(DeployError, match="is taken by another program"):
            ports.check_defined([at(str(path))], ours=())


def test_a_file_in_the_place_of_a_unix_socket_is_refused(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(DeployError, match="exists and is not a socket"):
        ports.check_defined([at(f"{home}/file")], ours=())
    with pytest.raises(DeployError, match="is not a folder"):
        ports.check_defined([at(f"{home}/file/socket")], ours=())


def test_http_is_spoken_over_a_unix_socket(home: Path) -> None:
    path = str(home / "todo.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        connection = at(path).open_http(timeout_s=60)
        connection.request("GET", "/readyz")
        client, _ = server.accept()
        with client:
            assert client.recv(14) == b"GET /readyz HT"
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert connection.getresponse().status == 200
        connection.close()


def test_the_address_families_of_the_kernel_are_read(taken: int) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]
        expected = {at(f"127.0.0.1:{taken}"), at(f"[::1]:{port}")}
        assert expected <= addresses.find_listening().keys()


def test_the_remedy_for_an_address_of_a_drop_in_names_the_drop_in(taken: int) -> None:
    install.install({SOCKET: "[Socket]\n"})
    write_drop_in("90-mine.conf", f"[Socket]\nListenStream=127.0.0.1:{taken}\n")
    with pytest.raises(DeployError) as caught:
        ports.check_defined(ports.defined(), ours=())
    place = f"{install.destination(SOCKET)}.d/90-mine.conf:2"
    assert caught.value.hint.endswith(f"change it in {place}")


def test_addresses_are_those_after_the_last_reset_in_the_order_of_the_files() -> None:
    install.install({SOCKET: "[Socket]\nListenStream=1.1.1.1:1\n"})
    write_drop_in("20-b.conf", "[Socket]\nListenStream=127.0.0.1:2\n")
    write_drop_in("10-a.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:3\n")
    assert ports.defined() == [at("127.0.0.1:3"), at("127.0.0.1:2")]


def test_the_same_drop_in_counts_once_from_the_most_important_folder(home: Path) -> None:
    install.install({SOCKET: "[Socket]\n"})
    write_drop_in("10-a.conf", "[Socket]\nListenStream=127.0.0.1:1\n")
    control = home / "CONFIG_HOME/systemd/user.control" / f"{SOCKET}.d"
    control.mkdir(parents=True)
    (control / "10-a.conf").write_text("[Socket]\nListenStream=127.0.0.1:2\n")
    assert ports.defined() == [at("127.0.0.1:2")]


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
    shipped = install.shipped()
    units = {name: shipped[name] for name in (SOCKET, MANAGEMENT)}
    install.install({**units, ports.DROPIN: ports.render_dropin(18000)})
    assert ports.defined() == [at("127.0.0.1:18000"), at("127.0.0.1:9000")]
    assert ports.find_management_ports() == {9000}


def test_the_dropin_of_a_version_with_one_unit_for_both_addresses_is_written_anew() -> None:
    former = "[Socket]\nListenStream=\nListenStream=127.0.0.1:18000\nListenStream=127.0.0.1:9000\n"
    install.install({SOCKET: "[Socket]\n", ports.DROPIN: former})
    assert ports.find_dropin() == ports.render_dropin(18000)


def test_without_a_unit_of_its_own_the_management_address_is_the_second_one() -> None:
    install.install({SOCKET: "[Socket]\nListenStream=127.0.0.1:1\nListenStream=127.0.0.1:2\n"})
    assert ports.find_management_ports() == {2}


def test_the_management_ports_are_known_before_the_installation() -> None:
    assert ports.find_management_ports() == {9000}
