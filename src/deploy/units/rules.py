"""Consistency rules across units: addresses, names, owners and timeouts.

A violation raises a DeployError with file, line and remedy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deploy.units import values
from deploy.units.keys import suggest
from deploy.units.parser import literal, split_words
from deploy.units.spec import BINDS, PREFIX, Socket

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from deploy.units.parser import Assignment, SourceLocation, Unit
    from deploy.units.spec import Container, Volume

_DEPENDENCIES = ("Wants", "Requires", "BindsTo", "Upholds", "PartOf", "After", "Before")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+):(\d{1,5})", re.ASCII)
_MAX_PORT = 65535
_PERCENT = 100
_DEADLINE = "TODO_SHUTDOWN_DEADLINE_S"
_MAX_THREADS = "AI_MAX_THREADS"


def read_socket(unit: Unit, listen: Assignment, containers: Mapping[Unit, Container]) -> Socket:
    """Return the socket of a TCP address, with its role from the container's environment."""
    address = values.text(listen)
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[2]) <= _MAX_PORT:
        listen.refuse("not an address with a port", "write it as 127.0.0.1:8000 or [::1]:8000")
    service = unit.get("Socket", "Service")
    owners = {f"{each.stem}.service": each for each in containers}
    owner = owners.get(values.text(service))
    if owner is None:
        service.refuse("the service does not exist", suggest(service.value, owners))
    binds = {role: containers[owner].env.get(name) for role, name in BINDS.items()}
    roles = [role for role, bind in binds.items() if bind == address]
    if not roles:
        said = [
            f"{place}: {BINDS[role]}={bind}"
            for role, bind in binds.items()
            if bind
            for place in [_variable(owner, BINDS[role])]
        ]
        listen.refuse(
            f"{owner.stem} does not listen on this address",
            f"make them equal; {owner.file} says {' and '.join(said) or 'none'}",
        )
    return Socket(
        unit=unit.stem,
        container=owner.stem,
        role=roles[0],
        host=match[1],
        port=int(match[2]),
    )


def check_binds(sockets: Sequence[Socket], containers: Mapping[Unit, Container]) -> None:
    """Check that a container with a socket unit has sockets for all its addresses."""
    for unit in containers:
        own = [socket for socket in sockets if socket.container == unit.stem]
        for role, name in BINDS.items():
            place = _variable(unit, name)
            if own and place and role not in {socket.role for socket in own}:
                place.refuse(
                    f"{own[0].unit}.socket does not listen on the address of {name}",
                    f"add its ListenStream= to {own[0].unit}.socket",
                )


def _variable(unit: Unit, name: str) -> SourceLocation | None:
    """Return the line that sets an environment variable."""
    found = None
    for assignment in unit.find_all("Container", "Environment"):
        for word in split_words(assignment):
            if literal(assignment, word).startswith(f"{name}="):
                found = assignment.place
    return found


def check_names(units: Iterable[Unit]) -> None:
    """Check that dependencies and mounts refer only to units of the project that exist."""
    known = {unit.name for unit in units}
    for unit in units:
        known.add(f"{unit.stem}-volume.service" if unit.suffix == "volume" else unit.name)
        known.add(f"{unit.stem}.service")
    for unit in units:
        for key in _DEPENDENCIES:
            for assignment in unit.find_all("Unit", key):
                for word in values.words(assignment):
                    if word.startswith(PREFIX) and word not in known:
                        assignment.refuse(f"the unit {word} does not exist", suggest(word, known))
        for assignment in unit.find_all("Container", "Volume"):
            source = values.mount(assignment).partition(":")[0]
            if source not in known and not source.startswith(values.HOME):
                assignment.refuse(f"the unit {source} does not exist", suggest(source, known))


def check_volumes(containers: Mapping[Unit, Container], volumes: Mapping[Unit, Volume]) -> None:
    """Check that every volume has an owner, and that only its owner mounts it with `:U`."""
    for unit, container in containers.items():
        for assignment, mount in zip(
            unit.find_all("Container", "Volume"), container.mounts, strict=True
        ):
            if mount.host:
                continue
            volume = next(each for each in volumes.values() if each.unit == mount.volume)
            if volume.uid is None or volume.gid is None:
                assignment.refuse(
                    f"{mount.volume}.volume has no owner",
                    "set User= and Group= there: otherwise the last mount determines the owner of "
                    "an empty volume",
                )
            if mount.owner and (volume.uid, volume.gid) != (container.uid, container.gid):
                assignment.refuse(
                    f":U would give {mount.volume} to {container.uid}:{container.gid}, "
                    f"{mount.volume}.volume says {volume.uid}:{volume.gid}",
                    "remove :U, or make the two equal",
                )
            if mount.owner and mount.read_only:
                assignment.refuse("an owner's mount is read-only", "remove ro or U")


def check_times(containers: Mapping[Unit, Container]) -> None:
    """Check that each timeout is longer than the timeout it encloses, which must expire first."""
    for unit, container in containers.items():
        if container.oneshot:
            continue
        deadline = container.env.get(_DEADLINE, "0")
        if _number(deadline) >= container.stop_timeout_s:
            unit.get("Container", "StopTimeout").refuse(
                f"not above the program's own deadline {_DEADLINE}={deadline}",
                "raise StopTimeout=, or the program is killed while it finishes",
            )
        limit = container.stop_limit_s
        if limit is not None and container.stop_timeout_s >= limit:
            unit.get("Service", "TimeoutStopSec").refuse(
                f"not above StopTimeout={container.stop_timeout_s}",
                "raise TimeoutStopSec=, or systemd kills Podman while it stops the container",
            )
        _check_start(unit, container)


def check_threads(containers: Mapping[Unit, Container]) -> None:
    """Check that a program that cannot detect its CPU limit has one thread per granted CPU.

    More threads would wait for each other, fewer would leave CPUs idle.
    """
    for unit, container in containers.items():
        given, quota = container.env.get(_MAX_THREADS), container.limits.cpu_percent
        granted = max(1, (quota or 0) // _PERCENT)
        if given is not None and quota is not None and given != str(granted):
            unit.get("Service", "CPUQuota").refuse(
                f"grants {granted} processors, {_MAX_THREADS}={given}", "make the two equal"
            )


def _check_start(unit: Unit, container: Container) -> None:
    health, start = container.health, container.start_timeout_s
    if container.notify == "healthy" and health is None:
        unit.get("Container", "Notify").refuse("HealthCmd= is missing", "add one")
    if container.notify != "healthy" or health is None or start is None:
        return
    needed = health.start_period_s + health.retries * (health.interval_s + health.timeout_s)
    if needed >= start:
        unit.get("Service", "TimeoutStartSec").refuse(
            f"not above the {needed:g} s that the health check may take until it gives up",
            "raise TimeoutStartSec=",
        )


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) else 0.0
