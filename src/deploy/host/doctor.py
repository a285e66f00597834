"""Report of `build.py doctor` on this host: checks, and a remedy for each failed one."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from deploy.host import cgroup as lab_cgroup
from deploy.host.packages import install_command
from deploy.host.probe import (
    KEYRING,
    LAB_TOOLS,
    MINIMUM_PODMAN,
    PORTS,
    ROOM_BYTES,
    STACK_TOOLS,
    dotted,
    find_session_remedy,
    missing_for_stack,
    offers_podman,
    why_no_lab,
    why_not_here,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deploy.host.probe import Host

_GIB = 1024**3
_STACK_GIB = 1
_DELEGATION = "/etc/systemd/system/user@.service.d/delegate.conf"


@dataclasses.dataclass(frozen=True)
class Check:
    """Line of the table; `remedy` is a command or advice that fixes a problem."""

    name: str
    ok: bool
    state: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Result of the checks; `here` and `lab` state why the host or a lab cannot run the stack."""

    here: str | None
    lab: str | None
    checks: tuple[Check, ...]

    @property
    def usable(self) -> bool:
        """Whether the stack can run on this host, directly or in a lab."""
        return self.here is None or self.lab is None


def diagnose(host: Host) -> Diagnosis:
    """Return the diagnosis of a host."""
    here = why_not_here(host)
    missing = missing_for_stack(host)
    if here is None and missing:
        here = f"missing on this host: {', '.join(missing)}"
    if here is None and not host.subordinate_ids:
        here = f"no subordinate ids for {host.user}"
    return Diagnosis(here, why_no_lab(host), tuple(_checks(host)))


def render_table(diagnosis: Diagnosis) -> str:
    """Return the table of the checks, with their remedies and a summary."""
    rows = [(check.name, check.state, check.remedy) for check in diagnosis.checks]
    marks = ["ok" if check.ok else "--" for check in diagnosis.checks]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [
        f"{mark}  {name:<{widths[0]}}  {state:<{widths[1]}}  {remedy}".rstrip()
        for mark, (name, state, remedy) in zip(marks, rows, strict=True)
    ]
    verdicts = (("on this host", diagnosis.here), ("in a lab", diagnosis.lab))
    for place, why in verdicts:
        lines.append(f"The stack can run {place}." if why is None else f"Not {place}: {why}.")
    if not diagnosis.usable:
        lines.append(
            "Neither is needed for development: python3 build.py dev serves on embedded SQLite."
        )
    return "\n".join(lines)


def render_json(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as JSON."""
    return json.dumps({"usable": diagnosis.usable, **dataclasses.asdict(diagnosis)}, indent=2)


def _checks(host: Host) -> Iterator[Check]:
    """Yield the checks, in the order in which problems should be fixed."""
    yield _session(host)
    yield _podman(host)
    yield from (_tool(tool, host, STACK_TOOLS) for tool in STACK_TOOLS if tool != "podman")
    yield _present("python3-venv", "python3-venv", host, there=host.venv)
    yield _subordinate_ids(host)
    yield _user_namespaces(host)
    yield _controllers(host)
    yield _linger(host)
    yield Check("SELinux", ok=True, state="enforcing" if host.selinux else "not enforcing")
    yield _disk(host)
    yield _memory(host)
    yield from (_port(port, host) for port in PORTS)
    yield from (_tool(tool, host, LAB_TOOLS) for tool in LAB_TOOLS if tool not in STACK_TOOLS)
    yield _present("Debian archive keys", KEYRING[1], host, there=host.keyring)


def _session(host: Host) -> Check:
    ok = bool(host.user_manager) and not host.root
    remedy = "" if ok else "log in as an ordinary user, on a console or through ssh"
    # This remedy also works without a login, for example in a cron job.
    remedy = find_session_remedy(host) or remedy
    return Check("user systemd", ok, host.user_manager or "none", remedy)


def _podman(host: Host) -> Check:
    if host.podman is None and offers_podman(host):
        return _present("podman", "podman", host, there=False)
    if host.podman is None or host.podman < MINIMUM_PODMAN:
        state = f"{dotted(host.podman)}, older than 5.0" if host.podman else "absent"
        remedy = "upgrade to a release with Podman 5, such as Debian 13, or use a lab"
        return Check("podman", ok=False, state=state, remedy=remedy)
    return Check("podman", ok=True, state=dotted(host.podman))


def _tool(tool: str, host: Host, packages: dict[str, str]) -> Check:
    return _present(tool, packages[tool], host, there=tool in host.tools)


def _present(name: str, package: str, host: Host, *, there: bool) -> Check:
    remedy = "" if there else _install([package], host)
    return Check(name, there, "present" if there else "absent", remedy)


def _subordinate_ids(host: Host) -> Check:
    name = "subordinate ids"
    if host.subordinate_ids:
        return Check(name, ok=True, state=f"a subordinate range for {host.user}")
    if host.root:
        return Check(name, ok=True, state="not needed by root")
    ids = "--add-subuids 100000-165535 --add-subgids 100000-165535"
    return Check(name, ok=False, state="none", remedy=f"sudo usermod {ids} {host.user}")


def _user_namespaces(host: Host) -> Check:
    if host.user_namespaces:
        return Check("user namespaces", ok=True, state="allowed")
    settings = "kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000"
    remedy = _as_root(f"sysctl -w {settings}", host)
    return Check("user namespaces", ok=False, state="switched off", remedy=remedy)


def _controllers(host: Host) -> Check:
    name = "cgroup controllers"
    if host.controllers is None:
        remedy = "boot with systemd.unified_cgroup_hierarchy=1"
        return Check(name, ok=False, state="cgroup v1", remedy=remedy)
    lacking = sorted(lab_cgroup.WANTED - host.controllers)
    if lacking:
        state = f"not delegated: {', '.join(lacking)}"
        install = _as_root(f"install -D -m 644 /dev/stdin {_DELEGATION}", host)
        remedy = rf"printf '[Service]\nDelegate=cpu memory pids\n' | {install}"
        return Check(name, ok=False, state=state, remedy=remedy)
    return Check(name, ok=True, state=", ".join(sorted(host.controllers)))


def _linger(host: Host) -> Check:
    if host.linger:
        return Check("linger", ok=True, state="on")
    remedy = "" if host.root else f"sudo loginctl enable-linger {host.user}"
    return Check("linger", ok=host.root, state="off", remedy=remedy)


def _disk(host: Host) -> Check:
    ok = host.free_bytes >= ROOM_BYTES
    remedy = "" if ok else f"free {ROOM_BYTES // _GIB} GiB, or set XDG_CACHE_HOME to a larger disk"
    return Check("disk space", ok, f"{host.free_bytes / _GIB:.0f} GiB free", remedy)


def _memory(host: Host) -> Check:
    gib = host.memory_bytes / _GIB
    # The units limit the stack to 1 GiB, and the default model to another 1 GiB.
    if gib < _STACK_GIB:
        remedy = f"a machine with {_STACK_GIB} GiB"
        return Check("memory", ok=False, state=f"{gib:.3g} GiB", remedy=remedy)
    room = "also for up --ai" if gib >= 2 * _STACK_GIB else "not enough for up --ai"
    return Check("memory", ok=True, state=f"{gib:.3g} GiB, {room}")


def _port(port: int, host: Host) -> Check:
    name = f"port {port}"
    if port not in host.taken_ports:
        return Check(name, ok=True, state="free")
    # The owner may be the running stack itself.
    owner = f"ss --listening --tcp --processes 'sport = :{port}'"
    return Check(name, ok=False, state="in use", remedy=owner)


def _install(packages: Sequence[str], host: Host) -> str:
    return install_command(packages, host.distribution, root=host.root)


def _as_root(command: str, host: Host) -> str:
    return command if host.root else f"sudo {command}"
