"""Listening sockets: inherited from the service manager, or bound here."""

import contextlib
import os
import socket
import stat
import struct
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from todo.config.addresses import Address, parse_address
from todo.config.settings import Settings
from todo.core.exit import ExitCode, FatalError

BACKLOG = 4096
PUBLIC, MANAGEMENT = "public", "management"
"""Supported values of a socket unit's FileDescriptorName=."""
# A `timeval`; the kernel makes it the shortest time that it can wait.
_ONE_TICK = struct.pack("ll", 0, 1)
_FIRST_FD = 3
_UNIT_SUFFIX = ".socket"
"""Without FileDescriptorName=, systemd gives the name of the socket unit."""


@dataclass(slots=True)
class Listeners:
    """Listening sockets by purpose."""

    public: list[socket.socket] = field(default_factory=list)
    management: list[socket.socket] = field(default_factory=list)
    probe: list[socket.socket] = field(default_factory=list)


def open_listeners(settings: Settings, environ: MutableMapping[str, str]) -> Listeners:
    """Adopt the inherited sockets and bind those that are missing.

    The variables of socket activation are removed, so that no child process uses them.

    Raises:
        FatalError: An address is taken, or an inherited descriptor is not a listening socket or
            has an unknown name.
    """
    listeners = Listeners()
    try:
        _fill(listeners, settings, environ)
    except FatalError:
        for listener in (*listeners.public, *listeners.management):
            listener.close()
        raise
    return listeners


def _fill(listeners: Listeners, settings: Settings, environ: MutableMapping[str, str]) -> None:
    management = parse_address(settings.management_bind)
    descriptors = inherited_descriptors(environ, os.getpid())
    for fd, name in zip(descriptors, find_names(environ, len(descriptors)), strict=True):
        inherited = _adopt(fd)
        is_management = name == MANAGEMENT or is_bound_to(inherited, management)
        mine = listeners.management if is_management else listeners.public
        mine.append(inherited)
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    if not listeners.public:
        listeners.public.append(_bind(parse_address(settings.bind), "TODO_BIND"))
    if not listeners.management:
        listeners.management.append(_bind(management, "TODO_MANAGEMENT_BIND"))
    listeners.probe.append(_bind(parse_address(settings.probe_bind), "TODO_PROBE_BIND", probe=True))


def inherited_descriptors(environ: Mapping[str, str], pid: int) -> range:
    """Return the descriptors that socket activation passed.

    Podman sets LISTEN_PID to the container's process 1, whichever program runs there, and
    process 1 of a container inherits only its own sockets. So a different LISTEN_PID is
    respected only in other processes.

    Raises:
        FatalError: LISTEN_FDS is not a number.
    """
    count = environ.get("LISTEN_FDS", "0")
    intended_pid = environ.get("LISTEN_PID", "")
    if not count.isdigit():
        message = f"LISTEN_FDS must be a number, not {count!r}: unset it, or use a socket unit"
        raise FatalError(ExitCode.CONFIGURATION, message)
    if intended_pid and intended_pid != str(pid) and pid != 1:
        return range(0)
    return range(_FIRST_FD, _FIRST_FD + int(count))


def find_names(environ: Mapping[str, str], count: int) -> list[str]:
    """Return the purpose of each inherited descriptor by its name, "" where the name is generic.

    A unit of an installation that had both addresses in one may have the name "public" for both,
    and a service manager may pass no names: then the address decides.

    Raises:
        FatalError: A name is unknown, or names and descriptors differ in number.
    """
    given = environ.get("LISTEN_FDNAMES", "")
    if not count or not given:
        return [""] * count
    names = given.split(":")
    if len(names) != count:
        message = f"LISTEN_FDNAMES has {len(names)} names for {count} descriptors: unset it"
        raise FatalError(ExitCode.CONFIGURATION, message)
    return [_purpose(name, _FIRST_FD + number) for number, name in enumerate(names)]


def _purpose(name: str, fd: int) -> str:
    if name in {PUBLIC, MANAGEMENT}:
        return name
    if name in {"", "unknown"} or name.endswith(_UNIT_SUFFIX):
        return ""
    message = (
        f"inherited descriptor {fd} has the unknown name {name}: "
        f"FileDescriptorName= must be {PUBLIC} or {MANAGEMENT}"
    )
    raise FatalError(ExitCode.CONFIGURATION, message)


def is_bound_to(listener: socket.socket, address: Address) -> bool:
    """Return whether a socket has the port (of any address) or the path."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        path = name.decode() if isinstance(name, bytes) else name
        return bool(address.path) and path == address.path
    return not address.path and name[1] == address.port


def listen(listener: socket.socket) -> socket.socket:
    """Listen on a bound socket, or again on an inherited one, and return it."""
    listener.listen(BACKLOG)
    # For the moment between the two calls of `accept`: it waits a tick at most.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _ONE_TICK)
    return listener


def accept(listener: socket.socket) -> socket.socket:
    """Accept a connection from the queue, without waiting for one.

    O_NONBLOCK belongs to the open socket, which all instances share. systemd clears it when it
    passes the socket to an instance that starts. The others would then wait for connections that
    another instance has accepted, and serve no requests meanwhile (ADR 80).

    Raises:
        BlockingIOError: The queue is empty.
        OSError: The connection is closed, or the process has no free descriptor.
    """
    listener.settimeout(0)
    client, _ = listener.accept()
    client.settimeout(0)
    return client


def unlink_own(listener: socket.socket, inode: int) -> None:
    """Remove the file of a Unix socket, unless a successor has replaced it."""
    path = Path(listener.getsockname())
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def _adopt(fd: int) -> socket.socket:
    try:
        adopted = socket.socket(fileno=fd)
        listening = adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        message = f"inherited descriptor {fd} is not a socket ({error.strerror}): check LISTEN_FDS"
        raise FatalError(ExitCode.CANNOT_LISTEN, message) from None
    if not listening or adopted.type != socket.SOCK_STREAM:
        message = (
            f"inherited descriptor {fd} is not a listening stream socket: check the socket unit"
        )
        raise FatalError(ExitCode.CANNOT_LISTEN, message)
    adopted.set_inheritable(False)
    return adopted


def _bind(address: Address, option: str, *, probe: bool = False) -> socket.socket:
    try:
        if address.path:
            return _bind_unix(Path(address.path), probe=probe)
        info = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(info[0], socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Inherited by every connection: a response is one write, which must not be delayed.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if info[0] == socket.AF_INET6:
                # `[::]` means every address, of both families.
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(info[4])
            # Listen now: clients can connect, and a port in use is reported.
            return listen(listener)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        message = f"cannot listen on {address}: {error.strerror}; free it or change {option}"
        raise FatalError(ExitCode.CANNOT_LISTEN, message) from None


def _bind_unix(path: Path, *, probe: bool) -> socket.socket:
    """Bind a Unix socket; that of the probe does not listen until the event loop serves it.

    A probe whose connection is refused knows that the server is starting. One that is accepted and
    receives no response would mistake a slow start for a hang.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.stat().st_mode) and (probe or _is_stale(path)):
                # Only the probe uses its socket, so a file is left from a process that was killed.
                path.unlink()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        listener.bind(str(path))
        return listener if probe else listen(listener)
    except OSError:
        listener.close()
        raise


def _is_stale(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False
