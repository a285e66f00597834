"""Rules for the Quadlet units, each with its id and its check.

`CIS-5.x` are the recommendations of the CIS Docker Benchmark 1.8.0 that a unit can follow or
break; `PSS-…` the controls of Kubernetes' Pod Security Standard "restricted" that none of these
covers; `OWN-…` what the project asks beyond both. No I/O.
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
    """One demand on the units of some kinds.

    Attributes:
        id: How findings and exceptions name it.
        demand: What it asks for, in a sentence.
        check: What finds the faults.
        also: The control of Pod Security "restricted" that it covers as well, where there is one.
        kinds: The kinds of units that it applies to, as the suffixes of their files.
    """

    id: str
    demand: str
    check: Check
    also: str = ""
    kinds: tuple[str, ...] = ("container",)


@dataclasses.dataclass(frozen=True, order=True)
class UnitFinding:
    """A rule that a unit breaks: where, what is wrong, and what to write there instead."""

    file: str
    line: int
    rule: str
    message: str
    fix: str


_HOST = "shares it with the host"

RULES: tuple[Rule, ...] = (
    Rule(
        "CIS-5.2",
        "AppArmor's profile stays on.",
        checks.banned("security-opt", "apparmor=unconfined", why="takes AppArmor away"),
        also="AppArmor",
    ),
    Rule("CIS-5.3", "SELinux's separation stays on.", checks.selinux, also="SELinux"),
    Rule(
        "CIS-5.4",
        "All capabilities are dropped, none is added.",
        checks.every(
            checks.drops_capabilities,
            checks.banned("cap-add", why="adds a capability"),
        ),
        also="Capabilities",
    ),
    Rule(
        "CIS-5.5",
        "No container is privileged.",
        checks.banned("privileged", why="switches every protection off"),
        also="Privileged Containers",
    ),
    Rule(
        "CIS-5.6",
        "No folder of the system's own is mounted.",
        exposure.sensitive_paths,
        also="HostPath Volumes",
    ),
    Rule(
        "CIS-5.8",
        "No port below 1024 is listened on.",
        exposure.privileged_ports,
        kinds=("container", "socket"),
    ),
    Rule(
        "CIS-5.9",
        "Podman opens no port; what is needed stands in a `.socket` unit.",
        exposure.opened_ports,
        also="Host Ports",
    ),
    Rule(
        "CIS-5.10",
        "The host's network is not shared.",
        checks.banned("network", "host", why=_HOST),
        also="Host Namespaces",
    ),
    Rule(
        "CIS-5.11",
        "Memory is limited, to 16 GiB at most.",
        checks.bounded("MemoryMax", "256M", "100%", read=values.size, most=checks.MAX_MEMORY),
    ),
    Rule(
        "CIS-5.12",
        "Processor time is limited, to 16 processors at most.",
        checks.bounded("CPUQuota", "200%", read=values.percentage, most=checks.MAX_PERCENT),
    ),
    Rule(
        "CIS-5.13",
        "The root file system is read-only, without the writable places that Podman adds.",
        checks.switched(("ReadOnly", True), ("ReadOnlyTmpfs", False)),
    ),
    Rule(
        "CIS-5.14",
        "Every port is on the loopback.",
        exposure.other_interfaces,
        kinds=("container", "socket"),
    ),
    Rule(
        "CIS-5.15",
        "A service is started again, at most 10 times in an interval long enough to count them.",
        checks.restarts,
    ),
    Rule(
        "CIS-5.16",
        "The host's processes are not shared.",
        checks.banned("pid", "host", why=_HOST),
        also="Host Namespaces",
    ),
    Rule(
        "CIS-5.17",
        "The host's shared memory and queues are not shared.",
        checks.banned("ipc", "host", why=_HOST),
        also="Host Namespaces",
    ),
    Rule(
        "CIS-5.18",
        "No device of the host is inside.",
        checks.banned("device", why="hands out a device of the host"),
    ),
    Rule("CIS-5.19", "No limit of resources is lifted.", checks.ulimits),
    Rule("CIS-5.20", "No mount made inside appears on the host.", exposure.shared_mounts),
    Rule(
        "CIS-5.21",
        "The host's name is not shared.",
        checks.banned("uts", "host", why=_HOST),
    ),
    Rule(
        "CIS-5.22",
        "The filter of system calls stays on.",
        checks.banned("security-opt", "seccomp=unconfined", why="allows every system call"),
        also="Seccomp",
    ),
    Rule(
        "CIS-5.25",
        "A container stays in its service's own control group, where its limits count.",
        checks.every(
            checks.banned("cgroups", "disabled", "enabled", "no-conmon", why="leaves the group"),
            checks.banned("cgroup-parent", why="leaves the group"),
            checks.banned("cgroupns", "host", why=_HOST),
        ),
    ),
    Rule(
        "CIS-5.26",
        "No process gains privileges.",
        checks.switched(("NoNewPrivileges", True)),
        also="Privilege Escalation",
    ),
    Rule(
        "CIS-5.27",
        "A service is asked whether it is well, and ended within 5 minutes when it is not.",
        checks.health,
    ),
    Rule(
        "CIS-5.28",
        "An image is built here and never pulled, or pinned by its digest.",
        checks.image,
    ),
    Rule("CIS-5.29", "The number of processes is limited, to 4096 at most.", checks.processes),
    Rule(
        "CIS-5.30",
        "The network is chosen, and not the bridge that all containers share.",
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
        "Processes and volumes belong to a numbered account other than root.",
        checks.ordinary_account,
        also="Running as Non-root, Running as Non-root user",
        kinds=("container", "volume"),
    ),
    Rule(
        "PSS-HOST-PATH",
        "No other path of the host is mounted.",
        exposure.other_paths,
        also="HostPath Volumes, Volume Types",
    ),
    Rule(
        "PSS-PROC",
        "What Podman hides below `/proc` and `/sys` stays hidden.",
        checks.unmasked,
        also="/proc Mount Type",
    ),
    Rule(
        "PSS-SYSCTLS",
        "No setting of the kernel is changed but the safe ones.",
        checks.sysctls,
        also="Sysctls",
    ),
    Rule("OWN-NETWORK", "There is no network at all.", exposure.other_networks),
    Rule(
        "OWN-MOUNTS",
        "A volume is writable for its owner alone.",
        exposure.writable_mounts,
    ),
    Rule(
        "OWN-TMPFS",
        "What is writable in memory is sized within the memory limit, and holds no program.",
        checks.tmpfs,
    ),
    Rule("OWN-SWAP", "What is in memory is never written to a swap device.", checks.swap),
    Rule("OWN-CORE", "A crash leaves no copy of the memory behind.", checks.core_dumps),
    Rule(
        "OWN-FILES",
        "The number of open files is limited, to 65536 at most.",
        checks.open_files,
    ),
    Rule(
        "OWN-OOM",
        "What is ended first when the machine has no memory left is chosen.",
        checks.killed_first,
    ),
    Rule("OWN-MQUEUE", "Message queues are closed.", checks.message_queues),
    Rule(
        "OWN-SECRETS",
        "No secret is in the environment, and its file is its reader's alone.",
        checks.secrets,
    ),
    Rule(
        "OWN-START",
        "A start that hangs is given up, after an hour at most.",
        checks.bounded("TimeoutStartSec", "60", "0", read=values.seconds, most=checks.MAX_START_S),
    ),
    Rule("OWN-ARGS", "No option passes by the keys and these rules.", checks.raw_arguments),
)


def audit(units: Iterable[Unit]) -> list[UnitFinding]:
    """What in the units breaks a rule, sorted by file and line.

    Raises:
        DeployError: A value that a rule is about cannot be read; the message names file and line.
    """
    return sorted(
        UnitFinding(fault.place.file, fault.place.line, rule.id, fault.message, fault.fix)
        for unit in units
        for rule in RULES
        if unit.suffix in rule.kinds
        for fault in rule.check(unit)
    )


def audit_variants(units: Sequence[Unit], variants: Iterable[Unit]) -> list[UnitFinding]:
    """What breaks a rule only once a drop-in is merged into its unit, sorted as by `audit`.

    Args:
        units: The units as they are.
        variants: Units with a drop-in merged.
    """
    return sorted({*audit(variants)} - {*audit(units)})
