"""Listen addresses of the stack: lookup, validation, and the drop-in for another port."""

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
from deploy.stack.services import (
    MANAGEMENT,
    SOCKET,
    container_of,
    find_instances,
    find_possible_sockets,
    find_sockets,
    name_management,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deploy.stack.addresses import Address
    from deploy.units.parser import Unit

DROPIN = "todo-backend.socket.d/50-port.conf"

_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_DEFAULT_UNPRIVILEGED = 1024


def check(port: int, *, management: Collection[int], ours: Collection[Address] = ()) -> None:
    """Check that the stack can use a public port, given the addresses on which it listens now.

    Raises:
        DeployError: The port is a management port, needs root, or is in use.
    """
    if port in management:
        raise DeployError(
            f"port {port} is a management port of the stack",
            hint=f"choose another: {_command()}",
            code=ExitCode.CONFIG,
        )
    _check_privilege(port, f"choose one above: {_command()}; a reverse proxy can serve port {port}")
    _check_free(_loopback(port), ours, f"choose another port: {_command()}")


def check_defined(
    wanted: Sequence[Address], ours: Collection[Address], *, ipv6_only: bool = False
) -> None:
    """Check that the stack can use the addresses of its socket units, the public one first.

    `ours` are the addresses on which it listens now; `ipv6_only` excludes IPv4 from `[::]`.

    Raises:
        DeployError: An address needs root, is in use, does not belong to this machine, or
            conflicts with another one.
    """
    for number, address in enumerate(wanted):
        where = _where(address, public=not number)
        for before in wanted[:number]:
            if address.overlaps(before, ipv6_only=ipv6_only):
                message = (
                    f"the sockets list the address {address.text} twice"
                    if address == before
                    else f"the sockets cannot listen on both {before.text} and {address.text}: "
                    "one includes the other"
                )
                both = address == before and before.place
                hint = f"remove it from {before.place}" if both else where
                raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
        if address.path:
            _check_path(address, ours, where)
        else:
            _check_privilege(address.port, where)
            _check_free(address, ours, where)


def check_movable(port: int) -> None:
    """Raise DeployError if a user's drop-in would override the new port."""
    for path in definition.find_files(SOCKET):
        if path.name > Path(DROPIN).name and path.parent.suffix == ".d" and _sets_addresses(path):
            raise DeployError(
                f"{path} sets the addresses, so --port {port} would have no effect",
                hint="change the port there, or remove its ListenStream= lines",
                code=ExitCode.CONFIG,
            )


def defined() -> list[Address]:
    """Return the addresses of all socket units according to the files, the public one first.

    Raises:
        DeployError: An address is invalid.
    """
    return [address for unit in find_sockets() for address in parse_unit(definition.load(unit))]


def parse_unit(unit: Unit) -> list[Address]:
    """Return the addresses of a socket unit.

    Raises:
        DeployError: An address is invalid.
    """
    found = []
    for each in unit.find_all("Socket", "ListenStream"):
        try:
            found.append(addresses.parse(_expand(each.value), place=str(each.place)))
        except ValueError as error:
            raise DeployError(
                f"{unit.name}: ListenStream={each.value} is not valid: {error}",
                hint=f"correct it in {each.place}",
                code=ExitCode.CONFIG,
            ) from None
    return found


def leaves_out_ipv4() -> bool:
    """Return whether `[::]` excludes IPv4 according to the files."""
    found = definition.load(SOCKET).find_all("Socket", "BindIPv6Only")
    return bool(found) and found[-1].value == "ipv6-only"


def loaded(unit: str = SOCKET) -> list[Address]:
    """Return the addresses of a socket unit as systemd has loaded it."""
    return [addresses.parse_shown(text) for text in systemd.listening(unit)]


def find_management(number: int = 1) -> Address | None:
    """Return an instance's management address as systemd has loaded it, or None without one."""
    unit = name_management(number)
    if unit in find_possible_sockets():
        return next(iter(loaded(unit)), None)
    # In older versions, the public unit has both addresses.
    return next(iter(loaded()[1:]), None)


def find_management_ports() -> set[int]:
    """Return the management ports of the installed units, otherwise those of this checkout."""
    if not install.is_installed():
        found = parse_text(MANAGEMENT, install.shipped()[MANAGEMENT])
    elif MANAGEMENT in find_sockets():
        units = [unit for unit in find_sockets() if unit != SOCKET]
        found = [each for unit in units for each in parse_unit(definition.load(unit))]
    else:
        found = parse_unit(definition.load(SOCKET))[1:]
    return {address.port for address in found}


def parse_text(name: str, text: str) -> list[Address]:
    """Return the addresses of a socket unit that is about to be installed, with its drop-ins."""
    return parse_unit(definition.load(name, text))


def find_ours() -> set[Address]:
    """Return the addresses on which the stack's socket units and instances listen.

    An instance keeps its inherited sockets when a daemon-reload changes the unit's addresses.
    """
    listening = addresses.find_listening()
    held = _held_sockets()
    found = {address for address, inodes in listening.items() if inodes & held}
    for unit in filter(systemd.is_active, find_sockets()):
        found |= listening.keys() & set(loaded(unit))
    return found


def find_unlistened(unit: str = SOCKET) -> list[str]:
    """Return the addresses of a loaded socket unit on which nothing listens.

    A daemon-reload with other addresses leaves the unit active, but closes its sockets.
    """
    actual = addresses.find_listening()
    known = (address for address in loaded(unit) if address.port or address.path)
    return [address.text for address in known if address not in actual]


def is_free(port: int) -> bool:
    """Return whether a port of the loopback is free."""
    return _loopback(port).find_bind_error() == 0


def render_dropin(port: int) -> str:
    """Render the socket's drop-in for another public port."""
    return "\n".join(
        [
            "# Written by `build.py up --port`; `--port 8000` goes back.",
            "[Socket]",
            "# An empty assignment drops the addresses of the unit itself.",
            "ListenStream=",
            f"ListenStream=127.0.0.1:{port}",
            "",
        ]
    )


def find_dropin() -> str | None:
    """Return the installed drop-in for another port as this version renders it, or None.

    Older versions also wrote the management address to it.
    """
    text = install.installed_text(DROPIN)
    if text is None:
        return None
    port = re.search(r"(?m)^ListenStream=127\.0\.0\.1:(\d+)$", text)
    # A file without a port was edited, and `install` will refuse it.
    return render_dropin(int(port[1])) if port else text


def _command() -> str:
    return command_hints.build("up --port N")


def _loopback(port: int) -> Address:
    return addresses.parse(f"127.0.0.1:{port}")


def _where(address: Address, *, public: bool) -> str:
    """Render the remedy for an unusable address: the switch, or the file to change."""
    file = Path(address.place.rpartition(":")[0])
    if public and (not file.name or file in map(install.destination, (SOCKET, DROPIN))):
        return f"choose another port: {_command()}"
    unit = file.name or MANAGEMENT
    if not unit.startswith("todo-management"):
        return f"change it in {address.place}"
    drop_in = install.destination(f"{unit}.d/60-address.conf")
    return f"set another one in {drop_in}, below [Socket] and an empty ListenStream="


def _check_free(address: Address, ours: Collection[Address], hint: str) -> None:
    error = 0 if address in ours else address.find_bind_error()
    if error == errno.EADDRINUSE:
        # The stack closes its own sockets before it listens on the address.
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
        # systemd would delete any other kind of file at the path.
        reason = "it exists and is not a socket"
    elif not folder.is_dir():
        reason = f"{folder} is not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"{folder} is not writable"
    if reason:
        message = f"{path} cannot be listened on: {reason}"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)


def _taken(message: str, command: str, hint: str) -> DeployError:
    remedy = f"stop it ({command_hints.shell(command)} shows it), or {hint}"
    return DeployError(message, hint=remedy, code=ExitCode.CONFIG)


def _check_privilege(port: int, hint: str) -> None:
    lowest = _DEFAULT_UNPRIVILEGED
    if _UNPRIVILEGED.exists():
        lowest = int(_UNPRIVILEGED.read_text())
    if port < lowest and os.geteuid() != 0:
        message = f"port {port} requires root: unprivileged users can use ports from {lowest} on"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)


def _sets_addresses(path: Path) -> bool:
    return re.search(r"^\s*ListenStream\s*=", path.read_text(), re.MULTILINE) is not None


def _expand(value: str) -> str:
    """Expand the specifiers that a path may contain (systemd.unit(5))."""
    known = {"%t": str(definition.runtime_folder()), "%h": str(Path.home()), "%%": "%"}
    return re.sub("%[th%]", lambda found: known[found[0]], value)


def _held_sockets() -> set[str]:
    """Return the inodes of the sockets that the conmon processes of the instances inherited."""
    inspect = ["podman", "container", "inspect", "--format={{.State.ConmonPid}}"]
    names = [container_of(unit) for unit in find_instances()]
    # Podman prints the existing containers even if another one does not exist.
    pids = process.run([*inspect, *names], check=False).stdout.split()
    found = set()
    for pid in filter(str.isdigit, pids):
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{pid}/fd").iterdir():
                found.add(str(path.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found
