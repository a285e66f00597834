"""The addresses of the stack: checks before they are used, and the drop-in that sets one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import command_hints, process
from deploy.errors import DeployError, ExitCode
from deploy.stack import addresses, definition, install, systemd
from deploy.stack.services import BACKEND, SOCKET

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deploy.stack.addresses import Address

DROPIN = "todo-backend.socket.d/50-port.conf"

_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_DEFAULT_UNPRIVILEGED = 1024


def check(port: int, *, management: int, ours: Collection[Address] = ()) -> None:
    """Refuse a public port that cannot be listened on.

    Args:
        port: The port.
        management: The management port, which has to be another one.
        ours: Where the stack itself listens now.

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
    _check_free(_loopback(port), ours, f"choose another port: {_command()}")


def check_defined(
    wanted: Sequence[Address], ours: Collection[Address], *, ipv6_only: bool = False
) -> None:
    """Refuse addresses of the socket's files that cannot be listened on.

    Args:
        wanted: The public one first.
        ours: Where the stack itself listens now.
        ipv6_only: Whether `[::]` leaves out IPv4, as with BindIPv6Only=ipv6-only.

    Raises:
        DeployError: One needs root, is taken or not of this machine, or excludes another one.
    """
    for number, address in enumerate(wanted):
        where = _where(address, public=not number)
        for before in wanted[:number]:
            if address.overlaps(before, ipv6_only=ipv6_only):
                message = (
                    f"{SOCKET} has the address {address.text} twice"
                    if address == before
                    else f"{SOCKET} cannot listen on both {before.text} and {address.text}: "
                    "one includes the other"
                )
                raise DeployError(message, hint=where, code=ExitCode.CONFIG)
        if address.path:
            _check_path(address, ours, where)
        else:
            _check_privilege(address.port, where)
            _check_free(address, ours, where)


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


def defined() -> list[Address]:
    """The socket's addresses as the files define them, the public one first.

    Raises:
        DeployError: One is not an address.
    """
    found = []
    for each in definition.load(SOCKET).find_all("Socket", "ListenStream"):
        try:
            found.append(addresses.parse(_expand(each.value), place=str(each.place)))
        except ValueError as error:
            raise DeployError(
                f"{SOCKET}: ListenStream={each.value} is not valid: {error}",
                hint=f"correct it in {each.place}",
                code=ExitCode.CONFIG,
            ) from None
    return found


def leaves_out_ipv4() -> bool:
    """Whether the files say that an IPv6 address for everything leaves out IPv4."""
    found = definition.load(SOCKET).find_all("Socket", "BindIPv6Only")
    return bool(found) and found[-1].value == "ipv6-only"


def loaded() -> list[Address]:
    """The addresses of the socket unit that systemd has loaded, the public one first."""
    return [addresses.parse_shown(text) for text in systemd.listening(SOCKET)]


def management_port(wanted: Sequence[Address]) -> int:
    """The port behind the public address."""
    return next((address.port for address in wanted[1:] if address.port), 0)


def find_ours() -> set[Address]:
    """Where the stack listens now: its socket unit, and its running backend.

    The backend keeps the sockets that it inherited when a daemon-reload gives the unit others.
    """
    listening = addresses.find_listening()
    held = _held_sockets()
    found = {address for address, inodes in listening.items() if inodes & held}
    if systemd.is_active(SOCKET):
        found |= listening.keys() & set(loaded())
    return found


def find_unlistened() -> list[str]:
    """The addresses of the loaded socket unit on which nothing listens.

    A daemon-reload with other addresses leaves the unit active, but takes its sockets away.
    """
    actual = addresses.find_listening()
    known = (address for address in loaded() if address.port or address.path)
    return [address.text for address in known if address not in actual]


def is_free(port: int) -> bool:
    """Whether a port of the loopback can be listened on."""
    return _loopback(port).find_bind_error() == 0


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
    return management_port([addresses.parse(text) for text in streams])


def _command() -> str:
    return command_hints.build("up --port N")


def _loopback(port: int) -> Address:
    return addresses.parse(f"127.0.0.1:{port}")


def _where(address: Address, *, public: bool) -> str:
    """The remedy for an address: the switch, or the file that has it."""
    file = address.place.rpartition(":")[0]
    if file and Path(file) not in {install.destination(name) for name in (SOCKET, DROPIN)}:
        return f"change it in {address.place}"
    if public:
        return f"choose another port: {_command()}"
    drop_in = install.destination(f"{SOCKET}.d/60-addresses.conf")
    return f"set all addresses in {drop_in}, below [Socket] and an empty ListenStream="


def _check_free(address: Address, ours: Collection[Address], hint: str) -> None:
    error = 0 if address in ours else address.find_bind_error()
    if error == errno.EADDRINUSE:
        # What is the stack's own is given up before the address is listened on.
        overlapping = [each for each in addresses.find_listening() if each.overlaps(address)]
        if not overlapping or not set(overlapping) <= set(ours):
            message = f"port {address.port} on {address.host} is taken by another program"
            raise _taken(message, f"ss -ltnp 'sport = :{address.port}'", hint)
    elif error == errno.EADDRNOTAVAIL:
        message = f"{address.host} is not an address of this machine, so {address.text} cannot be"
        raise DeployError(f"{message} listened on", hint=hint, code=ExitCode.CONFIG)
    elif error:
        message = f"{address.text} cannot be listened on: {os.strerror(error)}"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)


def _check_path(address: Address, ours: Collection[Address], hint: str) -> None:
    if address in ours:
        return
    if address in addresses.find_listening():
        message = f"{address.path} is taken by another program"
        raise _taken(message, f"ss -lxp src {address.path}", hint)
    if address.path.startswith("@"):
        return
    path = Path(address.path)
    folder = next(each for each in path.parents if each.exists())
    reason = ""
    if path.exists() and not path.is_socket():
        # systemd would remove a file that is in the way.
        reason = "it exists and is not a socket"
    elif not folder.is_dir():
        reason = f"{folder} is not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"{folder} is not writable"
    if reason:
        message = f"{path} cannot be listened on: {reason}"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)


def _taken(message: str, command: str, hint: str) -> DeployError:
    remedy = f"stop it ({command_hints.shell(command)} names it), or {hint}"
    return DeployError(message, hint=remedy, code=ExitCode.CONFIG)


def _check_privilege(port: int, hint: str) -> None:
    lowest = _DEFAULT_UNPRIVILEGED
    if _UNPRIVILEGED.exists():
        lowest = int(_UNPRIVILEGED.read_text())
    if port < lowest and os.geteuid() != 0:
        message = f"port {port} needs root: ordinary users may use ports from {lowest} on"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)


def _sets_addresses(path: Path) -> bool:
    return re.search(r"^\s*ListenStream\s*=", path.read_text(), re.MULTILINE) is not None


def _expand(value: str) -> str:
    """The specifiers that a path may have (systemd.unit(5))."""
    known = {"%t": str(definition.runtime_folder()), "%h": str(Path.home()), "%%": "%"}
    return re.sub("%[th%]", lambda found: known[found[0]], value)


def _held_sockets() -> set[str]:
    """The inodes of the sockets that the backend's container inherited; its monitor has them."""
    inspect = ["podman", "container", "inspect", "--format={{.State.ConmonPid}}"]
    pid = process.run([*inspect, BACKEND.removesuffix(".service")], check=False).stdout.strip()
    found = set()
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir() if pid.isdigit() else ():
            found.add(str(path.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found
