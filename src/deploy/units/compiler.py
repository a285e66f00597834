"""Compiler of units: validates each key and the units as a whole, and returns the contract.

It does no I/O. Every error names the file, the line and the remedy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from deploy.units import rules, values
from deploy.units.keys import check_keys
from deploy.units.parser import literal, split_words
from deploy.units.spec import (
    Container,
    Contract,
    Limits,
    Mount,
    Probe,
    Secret,
    Tmpfs,
    Volume,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from deploy.units.parser import Assignment, Unit

T = TypeVar("T")
D = TypeVar("D")

_PART = "Container"
_SECRETS = "/run/secrets"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOUNT_FLAGS = ("ro", "rw", "U", "z", "Z")
_TMPFS_FLAGS = ("rw", "nosuid", "nodev", "noexec")
_SECRET_OPTIONS = ("type", "target", "uid", "gid", "mode")


def compile_contract(units: Iterable[Unit]) -> Contract:
    """Compile units to a contract; raise DeployError if they are invalid or contradictory."""
    ordered = sorted(units, key=lambda unit: unit.name)
    for unit in ordered:
        check_keys(unit)
    containers = {unit: _container(unit) for unit in ordered if unit.suffix == "container"}
    volumes = {unit: _volume(unit) for unit in ordered if unit.suffix == "volume"}
    sockets = [
        rules.read_socket(unit, listen, containers)
        for unit in ordered
        if unit.suffix == "socket"
        for listen in unit.find_all("Socket", "ListenStream")
    ]
    rules.check_binds(sockets, containers)
    rules.check_names(ordered)
    rules.check_volumes(containers, volumes)
    rules.check_times(containers)
    rules.check_threads(containers)
    return Contract(tuple(containers.values()), tuple(volumes.values()), tuple(sockets))


def _container(unit: Unit) -> Container:
    # These keys are required, because their defaults violate the project's rules.
    for key in ("ReadOnly", "ReadOnlyTmpfs", "DropCapability", "NoNewPrivileges"):
        unit.get(_PART, key)
    uid = values.account(unit.get(_PART, "User"))
    gid = values.account(unit.get(_PART, "Group"))
    return Container(
        unit=unit.stem,
        name=values.text(unit.get(_PART, "ContainerName")),
        oneshot=_value(unit, "Service", "Type", values.text, "notify") == "oneshot",
        image=values.text(unit.get(_PART, "Image")),
        pull=_value(unit, _PART, "Pull", values.text, "missing"),
        uid=uid,
        gid=gid,
        groups=tuple(values.account(each) for each in unit.find_all(_PART, "GroupAdd")),
        entrypoint=_value(unit, _PART, "Entrypoint", values.entrypoint, ()),
        command=_value(unit, _PART, "Exec", values.words, ()),
        working_dir=_value(unit, _PART, "WorkingDir", values.text, ""),
        environment=_environment(unit),
        networks=tuple(values.text(each) for each in unit.find_all(_PART, "Network")),
        mounts=tuple(_mount(each) for each in unit.find_all(_PART, "Volume")),
        tmpfs=tuple(_tmpfs(each) for each in unit.find_all(_PART, "Tmpfs")),
        shm_size=_value(unit, _PART, "ShmSize", values.shm_size, None),
        secrets=tuple(_secret(each, uid, gid) for each in unit.find_all(_PART, "Secret")),
        health=_health(unit),
        notify=_value(unit, _PART, "Notify", values.text, "false"),
        stop_signal=_value(unit, _PART, "StopSignal", values.stop_signal, "SIGTERM"),
        stop_timeout_s=_value(unit, _PART, "StopTimeout", values.number, 10),
        start_timeout_s=_value(unit, "Service", "TimeoutStartSec", values.seconds, 90.0),
        stop_limit_s=_value(unit, "Service", "TimeoutStopSec", values.seconds, 90.0),
        limits=Limits(
            memory=_value(unit, "Service", "MemoryMax", values.size, None),
            cpu_percent=_value(unit, "Service", "CPUQuota", values.percentage, None),
        ),
        restart_policy=_value(unit, "Service", "Restart", values.text, "no"),
    )


def _value(
    unit: Unit, section: str, key: str, read: Callable[[Assignment], T], default: D
) -> T | D:
    found = unit.find(section, key)
    return default if found is None else read(found)


def _environment(unit: Unit) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for assignment in unit.find_all(_PART, "Environment"):
        for word in split_words(assignment):
            name, equals, value = literal(assignment, word).partition("=")
            if not equals or not _VARIABLE.fullmatch(name):
                assignment.refuse(f"{word} is not NAME=value", "quote a value with spaces")
            if values.looks_secret(name, value):
                assignment.place.refuse(
                    f"{name} in Environment= looks like a password",
                    "users who can list processes can read it: use Secret= and a variable "
                    f"{name}_FILE with its path",
                )
            found[name] = value
    return tuple(found.items())


def _mount(assignment: Assignment) -> Mount:
    source, _, rest = values.mount(assignment).partition(":")
    path, _, given = rest.partition(":")
    stem, dot, suffix = source.rpartition(".")
    host = source if source.startswith(values.HOME) else ""
    if not path.startswith("/") or not (host or (stem and dot and suffix == "volume")):
        assignment.refuse(
            "not a mount of a volume unit", "write it as NAME.volume:/path or NAME.volume:/path:ro"
        )
    flags = values.options(assignment, given, (), flags=_MOUNT_FLAGS) if given else {}
    volume = "" if host else stem
    return Mount(volume, path, read_only="ro" in flags, owner="U" in flags, host=host)


def _tmpfs(assignment: Assignment) -> Tmpfs:
    path, _, given = values.text(assignment).partition(":")
    found = values.options(assignment, given, ("size", "mode"), flags=_TMPFS_FLAGS) if given else {}
    if not path.startswith("/") or "size" not in found:
        assignment.refuse(
            "a tmpfs requires an absolute path and a size",
            "write, for example, /tmp:size=16m,mode=1777; without a size it can use half of the "
            "memory",
        )
    values.check_mode(assignment, found.get("mode", "1777"))
    return Tmpfs(path, values.podman_size(assignment, found["size"]))


def _secret(assignment: Assignment, uid: int, gid: int) -> Secret:
    name, _, given = values.text(assignment).partition(",")
    found = values.options(assignment, given or "type=mount", _SECRET_OPTIONS)
    if found.get("type", "mount") != "mount":
        assignment.refuse(
            "a secret in the environment can be read by anyone who inspects the container",
            "use type=mount and let the program read the file",
        )
    if (found.get("uid"), found.get("gid")) != (str(uid), str(gid)):
        assignment.refuse(
            "the container's user does not own the secret", f"write uid={uid},gid={gid}"
        )
    values.check_mode(assignment, found.get("mode", "0444"))
    path = found.get("target", name)
    return Secret(name, path if path.startswith("/") else f"{_SECRETS}/{path}")


def _health(unit: Unit) -> Probe | None:
    command = _value(unit, _PART, "HealthCmd", values.argv, ())
    if not command:
        return None
    return Probe(
        command=command,
        interval_s=_value(unit, _PART, "HealthInterval", values.duration, 30.0),
        timeout_s=_value(unit, _PART, "HealthTimeout", values.duration, 30.0),
        retries=_value(unit, _PART, "HealthRetries", values.number, 3),
        start_period_s=_value(unit, _PART, "HealthStartPeriod", values.duration, 0.0),
        on_failure=_value(unit, _PART, "HealthOnFailure", values.text, "none"),
    )


def _volume(unit: Unit) -> Volume:
    return Volume(
        unit.stem,
        values.text(unit.get("Volume", "VolumeName")),
        _value(unit, "Volume", "User", values.account, None),
        _value(unit, "Volume", "Group", values.account, None),
    )
