"""Checks of a container's networks, ports and mounts; no I/O.

Each function yields the faults of a unit; `rules` assigns it a rule ID.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import TYPE_CHECKING

from deploy.audit.podman_options import CONTAINER, missing, options, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.audit.podman_options import Option, OptionFault
    from deploy.units.parser import Assignment, Unit

_FIRST_ORDINARY_PORT = 1024
_HOST_OR_BRIDGE = ("host", "bridge", "podman")

_SENSITIVE = (
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin",
    "/sys", "/usr", "/var/lib/containers", "/var/lib/docker", "/var/run",
)  # fmt: skip
_ENGINES = ("docker.sock", "podman.sock", "containerd.sock", "crio.sock")
_SPECIFIERS = {"%t": "/run/user", "%h": "/home"}


# -- Networks -------------------------------------------------------------------------------------


def default_bridge(unit: Unit) -> Iterator[OptionFault]:
    """Require an explicit network that is not the default bridge."""
    found = list(options(unit, "network"))
    if not found:
        yield missing(unit, CONTAINER, "Network", "none")
    for option in found:
        if option.value.partition(":")[0] in {"bridge", "podman"}:
            yield option.fault(
                "is the default bridge, which all containers share", "write Network=none"
            )


def other_networks(unit: Unit) -> Iterator[OptionFault]:
    """Forbid networks other than `none`; other rules cover the host and the default bridge."""
    for option in options(unit, "network"):
        if option.value.partition(":")[0] not in {"none", *_HOST_OR_BRIDGE}:
            yield option.fault("is reachable from other machines", "write Network=none")


# -- Ports ----------------------------------------------------------------------------------------


def opened_ports(unit: Unit) -> Iterator[OptionFault]:
    """Forbid ports that Podman opens, because systemd owns the listening sockets."""
    for option in options(unit, "publish", "publish-all"):
        yield option.fault("publishes a port", "use ListenStream= in a .socket unit")


def privileged_ports(unit: Unit) -> Iterator[OptionFault]:
    """Forbid ports that only root may open."""
    for origin, _, port in _listening(unit):
        if 0 < port < _FIRST_ORDINARY_PORT:
            yield wrong(
                origin, "is a privileged port", f"use a port from {_FIRST_ORDINARY_PORT} up"
            )


def other_interfaces(unit: Unit) -> Iterator[OptionFault]:
    """Require loopback addresses for all ports; only a reverse proxy faces a network."""
    for origin, host, _ in _listening(unit):
        if not _is_loopback(host):
            yield wrong(
                origin, "is reachable from other machines", "write 127.0.0.1: before the port"
            )


def _listening(unit: Unit) -> Iterator[tuple[Assignment, str, int]]:
    """Yield the line, host (may be empty) and port (0: any) of each listening address."""
    for option in options(unit, "publish"):
        # [[HOST:]PORT:]PORT[/PROTOCOL]; a port may be a range.
        outside, _, _ = option.value.rpartition(":")
        host, _, port = outside.rpartition(":")
        yield option.origin, host, _first_number(port)
    for key in ("ListenStream", "ListenDatagram", "ListenSequentialPacket"):
        for assignment in unit.find_all("Socket", key):
            # Paths and abstract sockets are local to this machine.
            if not assignment.value.startswith(("/", "@", "%")):
                host, _, port = assignment.value.rpartition(":")
                yield assignment, host, _first_number(port)


def _first_number(text: str) -> int:
    match = re.match(r"\d{1,5}", text, re.ASCII)
    return int(match[0]) if match else 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


# -- Mounts ---------------------------------------------------------------------------------------


def engine_socket(unit: Unit) -> Iterator[OptionFault]:
    """Forbid mounts of a container engine's socket, which gives access to the machine."""
    for option, path in _host_paths(unit):
        if _is_engine(path):
            yield option.fault("exposes the container engine", "drop it")


def sensitive_paths(unit: Unit) -> Iterator[OptionFault]:
    """Forbid mounts of system folders."""
    for option, path in _host_paths(unit):
        if _is_sensitive(path) and not _is_engine(path):
            yield option.fault("mounts a system folder", "use a .volume unit")


def other_paths(unit: Unit) -> Iterator[OptionFault]:
    """Forbid mounts of all other host paths."""
    for option, path in _host_paths(unit):
        if not _is_sensitive(path) and not _is_engine(path):
            yield option.fault("mounts a path of the host", "use a .volume unit")


def shared_mounts(unit: Unit) -> Iterator[OptionFault]:
    """Forbid mounts that propagate to the host."""
    for option in options(unit, "volume", "mount"):
        if {"shared", "rshared"} & set(re.split("[:,=]", option.value)):
            yield option.fault("propagates mounts to the host", "drop shared")


def writable_mounts(unit: Unit) -> Iterator[OptionFault]:
    """Require that volumes are read-only, except for their owner (`:U`)."""
    for option in options(unit, "volume"):
        source, _, rest = option.value.partition(":")
        flags = rest.partition(":")[2].split(",")
        if source.endswith(".volume") and not {"ro", "U"} & set(flags):
            yield option.fault(
                "is writable by an account other than its owner", "add :ro, or the owner's :U"
            )


def _host_paths(unit: Unit) -> Iterator[tuple[Option, str]]:
    """Yield each mounted host path, with systemd's specifiers resolved."""
    for option in options(unit, "volume", "mount"):
        source = _source(option)
        path = _SPECIFIERS.get(source[:2], source[:2]) + source[2:]
        if path.startswith(("/", ".", "~", "%")):
            yield option, posixpath.normpath(path)


def _source(option: Option) -> str:
    """Return the source of a mount; empty for anonymous volumes and non-bind mounts."""
    if option.name == "volume":
        source, colon, _ = option.value.partition(":")
        return source if colon else ""
    given = dict(part.partition("=")[::2] for part in option.value.split(","))
    return given.get("source", given.get("src", "")) if given.get("type") == "bind" else ""


def _is_engine(path: str) -> bool:
    return posixpath.basename(path) in _ENGINES


def _is_sensitive(path: str) -> bool:
    return path == "/" or any(path == each or path.startswith(f"{each}/") for each in _SENSITIVE)
