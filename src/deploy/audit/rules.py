"""Rules for the Quadlet units, each with its ID and its check; no I/O.

`CIS-5.x` are the recommendations of the CIS Docker Benchmark 1.8.0 that apply to units. `PSS-…` are
the other controls of Kubernetes' Pod Security Standard "restricted". `OWN-…` are requirements of
the project beyond both.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deploy.audit import exposure
from deploy.audit import privileges as checks
from deploy.units import values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deploy.audit.privileges import Check
    from deploy.units.parser import Unit


@dataclasses.dataclass(frozen=True)
class Rule:
    """Requirement for units of certain kinds.

    Attributes:
        id: ID in findings and exceptions.
        demand: Requirement in one sentence.
        check: Function that finds violations.
        also: Control of Pod Security "restricted" that the rule also covers; may be empty.
        kinds: File suffixes of the units that the rule applies to.
    """

    id: str
    demand: str
    check: Check
    also: str = ""
    kinds: tuple[str, ...] = ("container",)


@dataclasses.dataclass(frozen=True, order=True)
class UnitFinding:
    """Violation of a rule in a unit, with a suggested fix."""

    file: str
    line: int
    rule: str
    message: str
    fix: str


_HOST = "shares the host's namespace"

RULES: tuple[Rule, ...] = (
    Rule(
        "CIS-5.2",
        "The AppArmor profile stays enabled.",
        checks.banned("security-opt", "apparmor=unconfined", why="disables AppArmor"),
        also="AppArmor",
    ),
    Rule("CIS-5.3", "SELinux separation stays enabled.", checks.selinux, also="SELinux"),
    Rule(
        "CIS-5.4",
        "All capabilities are dropped and none are added.",
        checks.every(
            checks.drops_capabilities,
            checks.banned("cap-add", why="adds a capability"),
        ),
        also="Capabilities",
    ),
    Rule(
        "CIS-5.5",
        "No container is privileged.",
        checks.banned("privileged", why="disables all protection"),
        also="Privileged Containers",
    ),
    Rule(
        "CIS-5.6",
        "No system folder is mounted.",
        exposure.sensitive_paths,
        also="HostPath Volumes",
    ),
    Rule(
        "CIS-5.8",
        "No container listens on a port below 1024.",
        exposure.privileged_ports,
        kinds=("container", "socket"),
    ),
    Rule(
        "CIS-5.9",
        "Podman publishes no ports; `.socket` units listen instead.",
        exposure.opened_ports,
        also="Host Ports",
    ),
    Rule(
        "CIS-5.10",
        "The host's network namespace is not shared.",
        checks.banned("network", "host", why=_HOST),
        also="Host Namespaces",
    ),
    Rule(
        "CIS-5.11",
        "Memory is limited to at most 16 GiB.",
        checks.bounded("MemoryMax", "256M", "100%", read=values.size, most=checks.MAX_MEMORY),
    ),
    Rule(
        "CIS-5.12",
        "CPU time is limited to at most 16 processors.",
        checks.bounded("CPUQuota", "200%", read=values.percentage, most=checks.MAX_PERCENT),
    ),
    Rule(
        "CIS-5.13",
        "The root file system is read-only, without the writable mounts that Podman adds.",
        checks.switched(("ReadOnly", True), ("ReadOnlyTmpfs", False)),
    ),
    Rule(
        "CIS-5.14",
        "All ports are on the loopback interface.",
        exposure.other_interfaces,
        kinds=("container", "socket"),
    ),
    Rule(
        "CIS-5.15",
        "Services are restarted, with a start limit of at most 10.",
        checks.restarts,
    ),
    Rule(
        "CIS-5.16",
        "The host's PID namespace is not shared.",
        checks.banned("pid", "host", why=_HOST),
        also="Host Namespaces",
    ),
    Rule(
        "CIS-5.17",
        "The host's IPC namespace is not shared.",
        checks.banned("ipc", "host", why=_HOST),
        also="Host Namespaces",
    ),
    Rule(
        "CIS-5.18",
        "No host devices are added.",
        checks.banned("device", why="adds a host device"),
    ),
    Rule("CIS-5.19", "No resource limit is lifted.", checks.ulimits),
    Rule("CIS-5.20", "Mounts are not propagated to the host.", exposure.shared_mounts),
    Rule(
        "CIS-5.21",
        "The host's UTS namespace is not shared.",
        checks.banned("uts", "host", why=_HOST),
    ),
    Rule(
        "CIS-5.22",
        "The seccomp filter stays enabled.",
        checks.banned("security-opt", "seccomp=unconfined", why="allows all system calls"),
        also="Seccomp",
    ),
    Rule(
        "CIS-5.25",
        "A container stays in the control group of its service, where the limits apply.",
        checks.every(
            checks.banned(
                "cgroups", "disabled", "enabled", "no-conmon", why="leaves the control group"
            ),
            checks.banned("cgroup-parent", why="leaves the control group"),
            checks.banned("cgroupns", "host", why=_HOST),
        ),
    ),
    Rule(
        "CIS-5.26",
        "Processes cannot gain privileges.",
        checks.switched(("NoNewPrivileges", True)),
        also="Privilege Escalation",
    ),
    Rule(
        "CIS-5.27",
        "Services have a health check, which kills an unhealthy service within 5 minutes.",
        checks.health,
    ),
    Rule(
        "CIS-5.28",
        "Images are built locally and never pulled, or pinned by digest.",
        checks.image,
    ),
    Rule("CIS-5.29", "The number of processes is limited to at most 4096.", checks.processes),
    Rule(
        "CIS-5.30",
        "The network is set explicitly and is not the default bridge.",
        exposure.default_bridge,
    ),
    Rule(
        "CIS-5.31",
        "The host's user namespace is not shared.",
        checks.banned("userns", "host", why=_HOST),
    ),
    Rule(
        "CIS-5.32",
        "No socket of a container engine is mounted.",
        exposure.engine_socket,
        also="HostPath Volumes",
    ),
    Rule(
        "PSS-NON-ROOT",
        "Processes and volumes belong to a numeric non-root user.",
        checks.ordinary_account,
        also="Running as Non-root, Running as Non-root user",
        kinds=("container", "volume"),
    ),
    Rule(
        "PSS-HOST-PATH",
        "No other host path is mounted.",
        exposure.other_paths,
        also="HostPath Volumes, Volume Types",
    ),
    Rule(
        "PSS-PROC",
        "Paths that Podman masks below `/proc` and `/sys` stay masked.",
        checks.unmasked,
        also="/proc Mount Type",
    ),
    Rule(
        "PSS-SYSCTLS",
        "Only safe kernel settings are changed.",
        checks.sysctls,
        also="Sysctls",
    ),
    Rule("OWN-NETWORK", "The container has no network.", exposure.other_networks),
    Rule(
        "OWN-MOUNTS",
        "Volumes are writable by their owner only.",
        exposure.writable_mounts,
    ),
    Rule(
        "OWN-TMPFS",
        "Every tmpfs has a size within the memory limit and is mounted noexec.",
        checks.tmpfs,
    ),
    Rule("OWN-SWAP", "Memory is never swapped to disk.", checks.swap),
    Rule("OWN-CORE", "A crash leaves no core dump.", checks.core_dumps),
    Rule(
        "OWN-FILES",
        "The number of open files is limited to at most 65536.",
        checks.open_files,
    ),
    Rule(
        "OWN-OOM",
        "The OOM score is set explicitly.",
        checks.killed_first,
    ),
    Rule("OWN-MQUEUE", "POSIX message queues are disabled.", checks.message_queues),
    Rule(
        "OWN-SECRETS",
        "Secrets are files that only their reader can read, not environment variables.",
        checks.secrets,
    ),
    Rule(
        "OWN-START",
        "A hanging start times out after at most one hour.",
        checks.bounded("TimeoutStartSec", "60", "0", read=values.seconds, most=checks.MAX_START_S),
    ),
    Rule("OWN-ARGS", "No option bypasses the Quadlet keys and these rules.", checks.raw_arguments),
)


def audit(units: Iterable[Unit]) -> list[UnitFinding]:
    """Return the violations of the rules in the units, sorted by file and line.

    Raises:
        DeployError: A checked value is malformed; the message names the file and line.
    """
    return sorted(
        UnitFinding(fault.place.file, fault.place.line, rule.id, fault.message, fault.fix)
        for unit in units
        for rule in RULES
        if unit.suffix in rule.kinds
        for fault in rule.check(unit)
    )


def audit_variants(units: Sequence[Unit], variants: Iterable[Unit]) -> list[UnitFinding]:
    """Return the violations that occur only in `variants`, the units with a merged drop-in."""
    return sorted({*audit(variants)} - {*audit(units)})
