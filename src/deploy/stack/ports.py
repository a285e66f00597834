"""The loopback ports of the stack: checks before they are used, and the drop-in that sets one."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import advice, tools
from deploy.errors import DeployError, ExitCode
from deploy.stack import definition, install, systemd
from deploy.stack.services import BACKEND, SOCKET

if TYPE_CHECKING:
    from collections.abc import Collection

DROPIN = "todo-backend.socket.d/50-port.conf"

_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_DEFAULT_UNPRIVILEGED = 1024
_LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp."""
_INODE = 9
"""The column there of the socket's inode."""


def check(
    port: int, *, management: int, host: str = "127.0.0.1", ours: Collection[int] = ()
) -> None:
    """Refuse a public port that cannot be listened on.

    Args:
        port: The port.
        management: The management port, which has to be another one.
        host: The address.
        ours: Ports on which the stack itself listens now.

    Raises:
        DeployError: It is the management port, needs root, or is taken.
    """
    if port == management:
        raise DeployError(
            f"port {port} is the management port",
            hint=f"choose another: {_command()}",
            code=ExitCode.CONFIG,
        )
    _check_privilege(port, f"choose one above: {_command()}; a reverse proxy can serve port {port}")
    if port not in ours and not is_free(host, port):
        raise _taken(host, port, f"choose another port: {_command()}")


def check_defined(addresses: list[str], ours: Collection[int]) -> None:
    """Refuse addresses of the socket's files that cannot be listened on.

    Args:
        addresses: The public one first.
        ours: Ports on which the stack itself listens now.

    Raises:
        DeployError: One needs root, is taken, or occurs twice.
    """
    where = f"change it: {advice.shell(f'systemctl --user edit {SOCKET}')}"
    seen = set()
    for number, address in enumerate(addresses):
        host, _, text = address.rpartition(":")
        if not text.isdigit():
            continue
        port = int(text)
        if address in seen:
            message = f"{SOCKET} has the address {address} twice"
            raise DeployError(message, hint=where, code=ExitCode.CONFIG)
        seen.add(address)
        _check_privilege(port, where)
        if port not in ours and not is_free(host, port):
            raise _taken(host, port, f"choose another port: {_command()}" if not number else where)


def check_movable(port: int) -> None:
    """Refuse another port where a drop-in of the user decides the addresses.

    Raises:
        DeployError: There is one that is merged after ours.
    """
    for path in definition.find_files(SOCKET):
        if path.name > Path(DROPIN).name and path.parent.suffix == ".d" and _sets_addresses(path):
            raise DeployError(
                f"{path} sets the addresses, so --port {port} would have no effect",
                hint="change the port there, or remove its ListenStream= lines",
                code=ExitCode.CONFIG,
            )


def defined() -> list[str]:
    """The socket's addresses as the files define them, the public one first."""
    found = definition.load(SOCKET).find_all("Socket", "ListenStream")
    return [_address(each.value) for each in found]


def management_port(addresses: list[str]) -> int:
    """The port behind the public address."""
    texts = [address.rpartition(":")[2] for address in addresses[1:]]
    return next((int(text) for text in texts if text.isdigit()), 0)


def find_ours() -> set[int]:
    """The ports on which the stack listens now: its socket unit, and its running backend.

    The backend keeps the sockets that it inherited when a daemon-reload gives the unit others.
    """
    listening = _listening_ports()
    held = _held_sockets()
    found = {port for port, inodes in listening.items() if inodes & held}
    if systemd.is_active(SOCKET):
        texts = [address.rpartition(":")[2] for address in systemd.listening(SOCKET)]
        found |= {int(text) for text in texts if text.isdigit()} & listening.keys()
    return found


def find_unlistened() -> list[str]:
    """The addresses of the loaded socket unit on which nothing listens.

    A daemon-reload with other addresses leaves the unit active, but takes its sockets away.
    """
    actual = _listening_ports()
    texts = [(address, address.rpartition(":")[2]) for address in systemd.listening(SOCKET)]
    return [address for address, text in texts if text.isdigit() and int(text) not in actual]


def is_free(host: str, port: int) -> bool:
    """Whether an address can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As systemd does: a port in TIME_WAIT is free to listen on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return False
    return True


def render_dropin(port: int) -> str:
    """The drop-in of the socket for another public port."""
    lines = install.shipped()[SOCKET].splitlines()
    listen = [line for line in lines if line.startswith("ListenStream=")]
    listen[0] = f"ListenStream=127.0.0.1:{port}"
    return "\n".join(
        [
            "# Written by `build.py up --port`; `--port 8000` goes back.",
            "[Socket]",
            "# An empty assignment drops the addresses of the unit itself.",
            "ListenStream=",
            *listen,
            "",
        ]
    )


def shipped_management_port() -> int:
    """The management port of the units in this checkout."""
    lines = install.shipped()[SOCKET].splitlines()
    streams = [line.partition("=")[2] for line in lines if line.startswith("ListenStream=")]
    return management_port(streams)


def _command() -> str:
    return advice.build("up --port N")


def _taken(host: str, port: int, hint: str) -> DeployError:
    command = f"ss -ltnp 'sport = :{port}'"
    return DeployError(
        f"port {port} on {host} is taken by another program",
        hint=f"stop it ({advice.shell(command)} names it), or {hint}",
        code=ExitCode.CONFIG,
    )


def _check_privilege(port: int, hint: str) -> None:
    lowest = _DEFAULT_UNPRIVILEGED
    if _UNPRIVILEGED.exists():
        lowest = int(_UNPRIVILEGED.read_text())
    if port < lowest and os.geteuid() != 0:
        message = f"port {port} needs root: ordinary users may use ports from {lowest} on"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)


def _sets_addresses(path: Path) -> bool:
    return re.search(r"^\s*ListenStream\s*=", path.read_text(), re.MULTILINE) is not None


def _address(value: str) -> str:
    """Systemd takes a port by itself for all addresses."""
    return f"[::]:{value}" if value.isdigit() else value


def _held_sockets() -> set[str]:
    """The inodes of the sockets that the backend's container inherited; its monitor has them."""
    inspect = ["podman", "container", "inspect", "--format={{.State.ConmonPid}}"]
    pid = tools.run([*inspect, BACKEND.removesuffix(".service")], check=False).stdout.strip()
    found = set()
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir() if pid.isdigit() else ():
            found.add(str(path.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found


def _listening_ports() -> dict[int, set[str]]:
    """The TCP ports on which somebody listens, with the inodes of the sockets."""
    found: dict[int, set[str]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING:
                port = int(fields[1].rpartition(":")[2], 16)
                found.setdefault(port, set()).add(fields[_INODE])
    return found
