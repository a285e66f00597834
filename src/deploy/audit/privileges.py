"""Checks of a container's privileges, limits, health checks and secrets; no I/O.

Each check yields the faults of a unit; `rules` assigns it a rule ID. The checks read the raw lines
instead of the contract, because the compiler rejects some of the faults.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deploy.audit.podman_options import CONTAINER, RAW, OptionFault, missing, options, wrong
from deploy.units import values
from deploy.units.parser import split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deploy.units.parser import Assignment, Unit

    Check = Callable[[Unit], Iterable[OptionFault]]

_SERVICE = "Service"

_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_syncookies",
    }
)
_LABEL_TYPES = ("container_t", "container_init_t", "container_kvm_t")
_MAX_STARTS = 10
_TMPFS_FLAGS = ("nosuid", "nodev", "noexec")
_OTHERS = 0o077

# Higher limits have no effect on the largest machine for this stack (16 processors, 16 GiB).
MAX_MEMORY = 16 * 1024**3
MAX_PERCENT = 16 * 100
# An eighth of the kernel's default number of process IDs.
MAX_TASKS = 4096
MAX_FILES = 65536
# Maximum acceptable duration of a start, and of an undetected hang.
MAX_START_S = 3600.0
_MAX_SILENCE_S = 300.0

# Podman's defaults.
_HEALTH_INTERVAL_S = 30.0
_HEALTH_RETRIES = 3


def oneshot(unit: Unit) -> bool:
    """Return whether a unit runs to completion instead of serving."""
    found = unit.find(_SERVICE, "Type")
    return found is not None and found.value == "oneshot"


# -- Factories of checks --------------------------------------------------------------------------


def banned(name: str, *wrong: str, why: str) -> Check:
    """Return a check that forbids an option, or only the given values of it."""

    def check(unit: Unit) -> Iterator[OptionFault]:
        for option in options(unit, name):
            if not wrong or option.value in wrong:
                yield option.fault(why, "drop it")

    return check


def switched(*switches: tuple[str, bool]) -> Check:
    """Return a check that requires switches of [Container] to have the given values."""

    def check(unit: Unit) -> Iterator[OptionFault]:
        for key, wanted in switches:
            right = str(wanted).lower()
            found = unit.find(CONTAINER, key)
            if found is None:
                yield missing(unit, CONTAINER, key, right)
            elif values.boolean(found) is not wanted:
                yield wrong(found, f"is not {right}", f"write {key}={right}")

    return check


def bounded(
    key: str,
    example: str,
    *unlimited: str,
    read: Callable[[Assignment], float | None],
    most: float,
) -> Check:
    """Return a check that requires an effective limit in [Service].

    Args:
        key: Key of the limit.
        example: Suggested value.
        unlimited: Values besides `infinity` that disable the limit.
        read: Parser of any other value.
        most: Maximum allowed value.
    """

    def check(unit: Unit) -> Iterator[OptionFault]:
        found = unit.find(_SERVICE, key)
        if found is None:
            yield missing(unit, _SERVICE, key, example)
        elif found.value in {"infinity", *unlimited}:
            yield wrong(found, "is no limit", f"write {key}={example}")
        elif (read(found) or 0) > most:
            yield wrong(found, "is too high to limit anything", f"write {key}={example}")

    return check


def every(*checks: Check) -> Check:
    """Return a check that runs several checks in order."""

    def check(unit: Unit) -> Iterator[OptionFault]:
        for each in checks:
            yield from each(unit)

    return check


# -- Checks ---------------------------------------------------------------------------------------


def drops_capabilities(unit: Unit) -> Iterator[OptionFault]:
    """Require that all capabilities are dropped."""
    found = unit.find_all(CONTAINER, "DropCapability")
    if not found:
        yield missing(unit, CONTAINER, "DropCapability", "all")
    elif "all" not in {word.lower() for each in found for word in split_words(each)}:
        yield wrong(found[-1], "leaves others", "write DropCapability=all")


def ordinary_account(unit: Unit) -> Iterator[OptionFault]:
    """Require a numeric User= and Group= other than root's."""
    section = unit.suffix.capitalize()
    for key in ("User", "Group"):
        found = unit.find(section, key)
        if found is None:
            yield missing(unit, section, key, "NUMBER, from 1 up,")
        elif not re.fullmatch(r"0*[1-9]\d*", found.value, re.ASCII):
            yield wrong(found, "may be root", f"write {key}=NUMBER, from 1 up")


def selinux(unit: Unit) -> Iterator[OptionFault]:
    """Forbid SELinux labels that do not confine the container."""
    for option in options(unit, "security-opt"):
        kind = option.value.removeprefix("label=type:")
        if option.value == "label=disable" or (kind != option.value and kind not in _LABEL_TYPES):
            yield option.fault("disables SELinux separation", "drop it")


def unmasked(unit: Unit) -> Iterator[OptionFault]:
    """Forbid unmasking the paths that Podman masks."""
    for option in options(unit, "security-opt"):
        if option.value.startswith("unmask="):
            yield option.fault("unmasks paths below /proc and /sys", "drop it")


def sysctls(unit: Unit) -> Iterator[OptionFault]:
    """Forbid kernel settings (sysctls) that Kubernetes does not consider safe."""
    for option in options(unit, "sysctl"):
        if option.value.partition("=")[0] not in _SAFE_SYSCTLS:
            yield option.fault("is not a safe setting", "drop it")


def restarts(unit: Unit) -> Iterator[OptionFault]:
    """Require that a service restarts, with a start limit."""
    policy = unit.find(_SERVICE, "Restart")
    if policy is None and not oneshot(unit):
        yield missing(unit, _SERVICE, "Restart", "always")
    elif policy is not None and policy.value == "no" and not oneshot(unit):
        yield wrong(policy, "does not restart it", "write Restart=always")
    elif policy is not None and policy.value != "no":
        yield from _start_limit(unit)


def _start_limit(unit: Unit) -> Iterator[OptionFault]:
    interval = unit.find("Unit", "StartLimitIntervalSec")
    burst = unit.find("Unit", "StartLimitBurst")
    if interval is None:
        yield missing(unit, "Unit", "StartLimitIntervalSec", "60")
    if burst is None:
        yield missing(unit, "Unit", "StartLimitBurst", str(_MAX_STARTS))
    if interval is None or burst is None:
        return
    if not values.seconds(interval):
        yield wrong(interval, "is no limit", "write StartLimitIntervalSec=60")
    elif not 0 < values.number(burst) <= _MAX_STARTS:
        yield wrong(burst, f"is not from 1 to {_MAX_STARTS}", "write StartLimitBurst=5")
    else:
        delay = unit.find(_SERVICE, "RestartSec")
        pause_s = 0.1 if delay is None else values.seconds(delay)
        if pause_s is None or pause_s * values.number(burst) >= (values.seconds(interval) or 0):
            yield wrong(
                interval,
                "ends before that many starts",
                "raise it above StartLimitBurst * RestartSec",
            )


def health(unit: Unit) -> Iterator[OptionFault]:
    """Require a frequent health check, and an action that stops an unhealthy service."""
    if oneshot(unit):
        return
    probe = unit.find(CONTAINER, "HealthCmd")
    if probe is None:
        yield missing(unit, CONTAINER, "HealthCmd", '["/path/to/probe"]')
    elif probe.value == "none":
        yield wrong(probe, "asks nothing", 'write HealthCmd=["/path/to/probe"]')
    yield from _often(unit)
    action = unit.find(CONTAINER, "HealthOnFailure")
    if action is None:
        yield missing(unit, CONTAINER, "HealthOnFailure", "kill")
    elif action.value == "none":
        yield wrong(action, "keeps it running", "write HealthOnFailure=kill")


def _often(unit: Unit) -> Iterator[OptionFault]:
    interval = unit.find(CONTAINER, "HealthInterval")
    retries = unit.find(CONTAINER, "HealthRetries")
    if interval is not None and interval.value == "disable":
        yield wrong(interval, "asks nothing", "write HealthInterval=2s")
        return
    pause_s = _HEALTH_INTERVAL_S if interval is None else values.duration(interval)
    times = _HEALTH_RETRIES if retries is None else values.number(retries)
    last = interval or retries
    if last is not None and pause_s * times > _MAX_SILENCE_S:
        message = f"detects a hang only after more than {_MAX_SILENCE_S / 60:.0f} minutes"
        yield wrong(last, message, "lower HealthInterval= * HealthRetries=")


def image(unit: Unit) -> Iterator[OptionFault]:
    """Require an image that is built locally and never pulled, or is pinned by digest."""
    found = unit.find(CONTAINER, "Image")
    if found is None:
        yield missing(unit, CONTAINER, "Image", "localhost/NAME:latest")
        return
    if re.search(r"@sha256:[0-9a-f]{64}$", found.value):
        return
    if not found.value.startswith("localhost/"):
        yield wrong(
            found,
            "is neither built locally nor pinned by digest",
            "write localhost/NAME or NAME@sha256:DIGEST",
        )
    pull = unit.find(CONTAINER, "Pull")
    if pull is None:
        yield missing(unit, CONTAINER, "Pull", "never")
    elif pull.value != "never":
        yield wrong(pull, "may pull a different image", "write Pull=never")


_tasks = bounded("TasksMax", "64", "100%", read=values.count, most=MAX_TASKS)


def processes(unit: Unit) -> Iterator[OptionFault]:
    """Require a limit on the number of processes, by systemd or by Podman."""
    own = unit.find(CONTAINER, "PidsLimit")
    if own is None or not re.fullmatch(r"0*[1-9]\d*", own.value, re.ASCII):
        yield from _tasks(unit)
    elif values.number(own) > MAX_TASKS:
        yield wrong(own, "is too high to limit anything", "write PidsLimit=64")


def ulimits(unit: Unit) -> Iterator[OptionFault]:
    """Forbid lifting a resource limit."""
    for option in options(unit, "ulimit"):
        _, _, amount = option.value.partition("=")
        if option.value == "host" or {"-1", "unlimited"} & set(amount.split(":")):
            yield option.fault("lifts the limit", "write a number, or remove it")
    for line in unit.assignments:
        if line.section == _SERVICE and line.key.startswith("Limit") and "infinity" in line.value:
            yield wrong(line, "lifts the limit", "write a number, or remove it")


def swap(unit: Unit) -> Iterator[OptionFault]:
    """Forbid swapping the memory of a service to disk."""
    found = unit.find(_SERVICE, "MemorySwapMax")
    if found is None:
        yield missing(unit, _SERVICE, "MemorySwapMax", "0")
    elif values.size(found) != 0:
        yield wrong(found, "allows secrets and data to be swapped to disk", "write MemorySwapMax=0")


def core_dumps(unit: Unit) -> Iterator[OptionFault]:
    """Forbid core dumps."""
    yield from _limit(unit, "core", 0, "writes memory to a core dump", "core=0:0")


def open_files(unit: Unit) -> Iterator[OptionFault]:
    """Require a limit on the number of open files."""
    yield from _limit(unit, "nofile", MAX_FILES, "limits nothing", "nofile=4096:4096")


def _limit(unit: Unit, name: str, most: int, why: str, example: str) -> Iterator[OptionFault]:
    # Rule CIS-5.19 covers values that are not numbers.
    written = [each for each in unit.find_all(CONTAINER, "Ulimit") if each.value[:1].isalpha()]
    found = [each for each in written if each.value.partition("=")[0] == name]
    if not found:
        yield missing(unit, CONTAINER, "Ulimit", example)
        return
    amounts = found[-1].value.partition("=")[2].split(":")
    if all(re.fullmatch(r"\d+", each, re.ASCII) for each in amounts) and any(
        int(each) > most for each in amounts
    ):
        yield wrong(found[-1], why, f"write Ulimit={example}")


def killed_first(unit: Unit) -> Iterator[OptionFault]:
    """Require an explicit OOM score: it decides which service the kernel kills first."""
    if unit.find(_SERVICE, "OOMScoreAdjust") is None:
        yield missing(unit, _SERVICE, "OOMScoreAdjust", "500")


def tmpfs(unit: Unit) -> Iterator[OptionFault]:
    """Require that each tmpfs is noexec, and that their total size is below the memory limit."""
    total = 0
    found = unit.find_all(CONTAINER, "Tmpfs")
    for each in found:
        given = dict(
            option.partition("=")[::2] for option in each.value.partition(":")[2].split(",")
        )
        lacking = [flag for flag in _TMPFS_FLAGS if flag not in given]
        size = values.podman_size(each, given["size"]) if "size" in given else 0
        if not size:  # the kernel treats 0 as unlimited
            lacking.append("size=16m")
        if lacking:
            yield wrong(each, f"lacks {', '.join(lacking)}", "add that")
        total += size
    shared = unit.find(CONTAINER, "ShmSize")
    if shared is not None:
        total += values.shm_size(shared)
    memory = unit.find(_SERVICE, "MemoryMax")
    limit = None if memory is None else values.size(memory)
    most = min(limit or MAX_MEMORY, MAX_MEMORY)
    last = shared or (found[-1] if found else None)
    if last is not None and total >= most:
        yield wrong(last, "can use all of MemoryMax=", "make it smaller")
    for option in options(unit, "mount"):
        if {"type=tmpfs", "type=ramfs"} & set(option.value.split(",")):
            yield option.fault("is memory that the other rules do not check", "write Tmpfs=")


def message_queues(unit: Unit) -> Iterator[OptionFault]:
    """Require a mask over the POSIX message queues, which would be writable otherwise."""
    masks = unit.find_all(CONTAINER, "Mask")
    if "/dev/mqueue" not in {path for each in masks for path in each.value.split(":")}:
        yield missing(unit, CONTAINER, "Mask", "/dev/mqueue")


def secrets(unit: Unit) -> Iterator[OptionFault]:
    """Forbid secrets in the environment and secret files that other accounts can read."""
    for assignment in unit.find_all(CONTAINER, "Environment"):
        for word in split_words(assignment):
            name, _, value = word.partition("=")
            if values.looks_secret(name, value):
                # The value is left out, because the output ends up in logs.
                yield OptionFault(
                    assignment.place,
                    f"{name} in Environment= holds a secret",
                    f"use Secret= and {name}_FILE",
                )
    for option in options(unit, "env", "env-file", "env-host"):
        message = f"{option.origin.key}= may put secrets into the environment"
        yield OptionFault(option.origin.place, message, "use Environment= and Secret=")
    for option in options(unit, "secret"):
        given = dict(part.partition("=")[::2] for part in option.value.split(",")[1:])
        mode = given.get("mode", "0444")
        if given.get("type", "mount") != "mount":
            yield option.fault("puts the secret into the environment", "write type=mount")
        elif not re.fullmatch(r"[0-7]{3,4}", mode) or int(mode, 8) & _OTHERS:
            yield option.fault("lets others read the secret", "add mode=0400")


def raw_arguments(unit: Unit) -> Iterator[OptionFault]:
    """Forbid raw options, which bypass the keys that the other rules check."""
    for key in (*RAW, "ContainersConfModule"):
        for assignment in unit.find_all(CONTAINER, key):
            message = f"{key}= bypasses the other rules"
            yield OptionFault(assignment.place, message, "use Quadlet keys instead")
