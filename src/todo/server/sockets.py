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
"""Accepted values of a socket unit's FileDescriptorName=."""
# A `timeval`, which the kernel rounds up to its shortest timeout.
_ONE_TICK = struct.pack("ll", 0, 1)
_FIRST_FD = 3
_UNIT_SUFFIX = ".socket"
"""Suffix of the default name: without FileDescriptorName=, systemd passes the unit's name."""


@dataclass(slots=True)
class Listeners:
    """Listening sockets by purpose."""

    public: list[socket.socket] = field(default_factory=list)
    management: list[socket.socket] = field(default_factory=list)
    probe: list[socket.socket] = field(default_factory=list)


def open_listeners(settings: Settings, environ: MutableMapping[str, str]) -> Listeners:
    """Adopt the inherited sockets, and bind the missing ones.

    The variables of socket activation are removed, so that child processes do not use them.

    Raises:
        FatalError: An address is in use, or an inherited descriptor is invalid.
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
    """Return the descriptors passed by socket activation.

    Podman sets LISTEN_PID to the container's process 1, whichever program runs there, and that
    process inherits only its own sockets. So LISTEN_PID is checked only in other processes.

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
    """Return the purpose of each inherited descriptor, or "" if the name is generic.

    The address decides if the name is missing, or if an older unit names both sockets "public".

    Raises:
        FatalError: A name is unknown, or the numbers of names and descriptors differ.
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
    """Return whether the socket is bound to the path, or to the port on any address."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        path = name.decode() if isinstance(name, bytes) else name
        return bool(address.path) and path == address.path
    return not address.path and name[1] == address.port


def listen(listener: socket.socket) -> socket.socket:
    """Listen on a bound or inherited socket, and return it."""
    listener.listen(BACKLOG)
    # This limits a blocking `accept` to one tick: systemd may clear O_NONBLOCK (see `accept`).
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _ONE_TICK)
    return listener


def accept(listener: socket.socket) -> socket.socket:
    """Accept a connection from the queue without blocking.

    O_NONBLOCK belongs to the open socket, which all instances share. systemd clears the flag when
    it passes the socket to a starting instance. If the flag were not set again, the others would
    block until a client connects, and serve no requests meanwhile (ADR 80).

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
            # Connections inherit this: responses are single writes and must not be delayed.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if info[0] == socket.AF_INET6:
                # `[::]` accepts both address families.
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(info[4])
            # Listen now, so that clients can connect and a port in use is reported.
            return listen(listener)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        message = f"cannot listen on {address}: {error.strerror}; free it or change {option}"
        raise FatalError(ExitCode.CANNOT_LISTEN, message) from None


def _bind_unix(path: Path, *, probe: bool) -> socket.socket:
    """Bind a Unix socket; the probe's socket does not listen until the event loop serves it.

    A refused connection tells the probe that the server is starting. An accepted one without a
    response would make a slow start look like a hang.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.stat().st_mode) and (probe or _is_stale(path)):
                # Only the probe connects to its socket, so an existing file is stale.
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
