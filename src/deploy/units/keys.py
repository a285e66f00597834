"""Table of all supported unit keys, with their parsers and their support in the manifest.

Validation and the loss report use the same table, so that every accepted key has a decision about
its translation. The last three columns of a row are the support under `podman kube play`, the
support under Kubernetes, and a note.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
from typing import TYPE_CHECKING

from deploy.units import values
from deploy.units.parser import Header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from deploy.units.parser import Assignment, SourceLocation, Unit


class Support(enum.StrEnum):
    """Support of a unit key in the manifest."""

    HONORED = "honored"
    EMULATED = "emulated"
    LOST = "lost"


_Row = tuple[str, "Callable[[Assignment], object]", Support, Support, str]
_YES, _LIKE, _NO = Support.HONORED, Support.EMULATED, Support.LOST


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a section, with the parser of its value and its support on both targets."""

    section: str
    name: str
    read: Callable[[Assignment], object]
    podman: Support
    kubernetes: Support
    note: str


_POLICY = values.one_of("no", "always", "on-success", "on-failure", "on-abnormal", "on-abort")
_ACTION = values.one_of("none", "kill", "restart", "stop")

_UNIT: tuple[_Row, ...] = (
    ("Description", values.verbatim, _NO, _NO, "for readers"),
    ("Documentation", values.verbatim, _NO, _NO, "for readers"),
    ("Wants", values.words, _LIKE, _LIKE, "all are in one pod; each waits by itself"),
    (
        "Requires",
        values.words,
        _LIKE,
        _LIKE,
        "all are in one pod; each waits by itself",
    ),
    ("After", values.words, _LIKE, _LIKE, "no order; the backend waits for its database"),
    ("Before", values.words, _LIKE, _LIKE, "no order; the backend waits for its database"),
    ("BindsTo", values.words, _LIKE, _LIKE, "all are in one pod; each waits by itself"),
    ("Upholds", values.words, _LIKE, _LIKE, "all are in one pod; each is restarted by itself"),
    ("PartOf", values.words, _LIKE, _LIKE, "the pod starts and stops as a whole"),
    ("StopWhenUnneeded", values.boolean, _NO, _NO, "the pod starts and stops as a whole"),
    ("StartLimitIntervalSec", values.seconds, _NO, _LIKE, "Kubernetes backs off, up to 5 minutes"),
    ("StartLimitBurst", values.number, _NO, _LIKE, "Kubernetes backs off, up to 5 minutes"),
)
_CONTAINER: tuple[_Row, ...] = (
    ("ContainerName", values.text, _LIKE, _YES, "Podman puts the pod's name in front"),
    ("Image", values.text, _YES, _YES, "image"),
    (
        "Pull", values.one_of("never", "missing", "always", "newer"), _YES, _YES,
        "imagePullPolicy",
    ),
    ("User", values.account, _YES, _YES, "runAsUser"),
    ("Group", values.account, _YES, _YES, "runAsGroup"),
    ("GroupAdd", values.account, _YES, _YES, "supplementalGroups, of every container of the pod"),
    ("WorkingDir", values.text, _YES, _YES, "workingDir"),
    ("Entrypoint", values.entrypoint, _YES, _YES, "command"),
    ("Exec", values.words, _YES, _YES, "args"),
    ("Environment", values.words, _YES, _YES, "env; TODO_BIND listens on the pod's address"),
    ("Secret", values.text, _LIKE, _LIKE, "a Secret as a file, mode 0444: the owner cannot be set"),
    (
        "Network", values.one_of("none", "pasta"), _NO, _LIKE,
        "none: a NetworkPolicy; under Podman the pod has a network, or nothing could be published",
    ),
    ("Volume", values.mount, _LIKE, _LIKE, "persistent claim or emptyDir; :U by image and fsGroup"),
    ("Tmpfs", values.text, _LIKE, _LIKE, "emptyDir in memory, executable; Podman drops the size"),
    ("ShmSize", values.shm_size, _LIKE, _YES, "emptyDir in memory; Podman drops the size"),
    (
        "ReadOnly",
        values.fixed(required=True, why="every root is read-only"), _YES, _YES,
        "readOnlyRootFilesystem",
    ),
    (
        "ReadOnlyTmpfs",
        values.fixed(required=False, why="it adds writable tmpfs mounts without a size"),
        _NO, _YES, "Podman adds a writable /var/tmp; a read-only emptyDir covers /dev/shm",
    ),
    ("Mask", values.text, _NO, _NO, "message queues in /dev/mqueue stay possible"),
    ("DropCapability", values.one_of("all"), _YES, _YES, "capabilities.drop"),
    (
        "NoNewPrivileges",
        values.fixed(required=True, why="no container may gain privileges"), _YES, _YES,
        "allowPrivilegeEscalation: false",
    ),
    ("HealthCmd", values.argv, _YES, _YES, "livenessProbe; Podman ignores readinessProbe"),
    ("HealthInterval", values.duration, _LIKE, _LIKE, "periodSeconds, in whole seconds"),
    ("HealthTimeout", values.duration, _LIKE, _LIKE, "timeoutSeconds, in whole seconds"),
    ("HealthRetries", values.number, _YES, _YES, "failureThreshold"),
    ("HealthStartPeriod", values.duration, _LIKE, _LIKE, "startupProbe"),
    (
        "HealthOnFailure", _ACTION, _LIKE, _LIKE,
        "a restart; Podman sends the stop signal first and waits the whole stop timeout",
    ),
    (
        "Notify", values.one_of("true", "false", "healthy"), _LIKE, _LIKE,
        "startupProbe and readinessProbe tell when it serves",
    ),
    ("StopSignal", values.stop_signal, _LIKE, _LIKE, "the image's STOPSIGNAL; a test compares"),
    ("StopTimeout", values.number, _LIKE, _LIKE, "terminationGracePeriodSeconds, the longest"),
    ("LogDriver", values.one_of("journald", "passthrough"), _LIKE, _LIKE, "where the host logs"),
    ("Ulimit", values.ulimit, _NO, _NO, "the engine's or the node's default limits"),
    ("PidsLimit", values.number, _LIKE, _NO, "Podman: pids_limit of containers.conf"),
    ("AutoUpdate", values.one_of("local", "registry"), _NO, _NO, "see the update of the units"),
    ("Label", values.words, _NO, _NO, "for users and tools on this machine"),
)  # fmt: skip
_SERVICE: tuple[_Row, ...] = (
    (
        "Type", values.one_of("notify", "oneshot"), _LIKE, _LIKE,
        "oneshot: the migration is a container that stays afterwards",
    ),
    ("RemainAfterExit", values.boolean, _LIKE, _LIKE, "with Type=oneshot"),
    ("Sockets", values.words, _LIKE, _LIKE, "the program listens itself"),
    ("Restart", _POLICY, _YES, _YES, "restartPolicy"),
    ("RestartSec", values.seconds, _NO, _LIKE, "Podman: at once; Kubernetes backs off"),
    ("RestartSteps", values.number, _NO, _LIKE, "Podman: at once; Kubernetes backs off"),
    ("RestartMaxDelaySec", values.seconds, _NO, _LIKE, "Podman: at once; Kubernetes backs off"),
    ("RestartPreventExitStatus", values.exit_codes, _NO, _LIKE, "started again, with back-off"),
    ("ExecStopPost", values.text, _NO, _NO, "about the sockets of systemd"),
    ("SuccessExitStatus", values.exit_codes, _NO, _NO, "exit codes of a stopped pod do not matter"),
    ("TimeoutStartSec", values.seconds, _YES, _YES, "startupProbe: period times threshold"),
    ("TimeoutStopSec", values.seconds, _LIKE, _LIKE, "terminationGracePeriodSeconds"),
    ("MemoryMax", values.size, _YES, _YES, "limits.memory"),
    ("MemorySwapMax", values.size, _NO, _NO, "a matter of the node"),
    ("OOMPolicy", values.one_of("continue", "stop", "kill"), _LIKE, _LIKE, "a restart"),
    ("OOMScoreAdjust", values.integer, _NO, _LIKE, "Kubernetes: by quality of service"),
    ("MemoryHigh", values.size, _NO, _NO, "no such limit"),
    ("TasksMax", values.count, _NO, _NO, "the node's podPidsLimit, Podman's pids_limit"),
    ("CPUQuota", values.percentage, _YES, _YES, "limits.cpu"),
)  # fmt: skip
_SOCKET: tuple[_Row, ...] = (
    ("ListenStream", values.text, _LIKE, _LIKE, "containerPort; --publish, and a Service"),
    ("FileDescriptorName", values.one_of("public", "management"), _NO, _NO, "nothing is inherited"),
    ("Service", values.text, _YES, _YES, "the container that listens"),
    ("Backlog", values.number, _LIKE, _LIKE, "the program's own backlog"),
    ("NoDelay", values.boolean, _LIKE, _LIKE, "set by the program"),
    ("TriggerLimitIntervalSec", values.seconds, _NO, _NO, "nothing is started by a connection"),
    ("TriggerLimitBurst", values.number, _NO, _NO, "nothing is started by a connection"),
)
_VOLUME: tuple[_Row, ...] = (
    (
        "VolumeName",
        values.text,
        _LIKE,
        _LIKE,
        "a name of its own: both can run side by side",
    ),
    ("User", values.account, _YES, _LIKE, "Podman: annotation of the claim; Kubernetes: fsGroup"),
    ("Group", values.account, _YES, _LIKE, "Podman: annotation of the claim; Kubernetes: fsGroup"),
    ("Label", values.words, _NO, _NO, "for users and tools on this machine"),
)
_TIMER: tuple[_Row, ...] = (
    ("OnCalendar", values.verbatim, _NO, _NO, "what it starts is not part of the pod"),
    ("Persistent", values.boolean, _NO, _NO, "what it starts is not part of the pod"),
    ("RandomizedDelaySec", values.seconds, _NO, _NO, "what it starts is not part of the pod"),
)
_INSTALL: tuple[_Row, ...] = (
    ("WantedBy", values.words, _NO, _LIKE, "Kubernetes runs what is applied"),
)
_QUADLET: tuple[_Row, ...] = (
    ("DefaultDependencies", values.boolean, _NO, _NO, "about this machine's network"),
)

_LAYOUT: dict[str, dict[str, tuple[_Row, ...]]] = {
    "container": {
        "Unit": _UNIT, "Container": _CONTAINER, "Service": _SERVICE, "Install": _INSTALL,
        "Quadlet": _QUADLET,
    },
    "socket": {"Unit": _UNIT, "Socket": _SOCKET, "Install": _INSTALL},
    "timer": {"Unit": _UNIT, "Timer": _TIMER, "Install": _INSTALL},
    "volume": {"Unit": _UNIT, "Volume": _VOLUME, "Quadlet": _QUADLET},
}  # fmt: skip
KINDS = tuple(_LAYOUT)
"""Supported kinds of units, as file suffixes without the dot."""

_KEYS = {
    kind: {
        section: {row[0]: Key(section, *row) for row in rows} for section, rows in sections.items()
    }
    for kind, sections in _LAYOUT.items()
}


def get_key(unit: Unit, assignment: Assignment) -> Key:
    """Return the entry of an assignment; raise DeployError for an unknown kind, section or key."""
    keys = _section(unit, assignment.section, assignment.place)
    key = keys.get(assignment.key)
    if key is None:
        assignment.place.refuse(
            f"unknown key {assignment.key} in [{assignment.section}]",
            suggest(assignment.key, keys),
        )
    return key


def _section(unit: Unit, section: str, place: SourceLocation) -> dict[str, Key]:
    sections = _KEYS.get(unit.suffix)
    if sections is None:
        place.refuse(f"unknown kind of unit .{unit.suffix}", f"known are .{', .'.join(KINDS)}")
    if section not in sections:
        place.refuse(
            f"unknown section [{section}] in a .{unit.suffix} unit", suggest(section, sections)
        )
    return sections[section]


def check_keys(unit: Unit) -> None:
    """Raise DeployError if a unit has an unknown section or key, or an invalid value."""
    for line in unit.lines:
        if isinstance(line, Header):
            _section(unit, line.section, line.place)
            continue
        key = get_key(unit, line)
        if line.value:
            key.read(line)


def find_names() -> frozenset[str]:
    """Return the keys of all kinds of units."""
    return frozenset(
        name for sections in _KEYS.values() for keys in sections.values() for name in keys
    )


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint with the known word that is most similar to an unknown word."""
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.5)
    if near:
        return f"did you mean {folded[near[0]]}?"
    return "remove it, or teach it to the table in src/deploy/units/keys.py"
