"""Probe of this host's capabilities."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import re
import shlex
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process
from deploy.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = (8000, 9000)
MINIMUM_PODMAN = (5, 0, 0)
"""First version whose Quadlet supports every key that the units use."""
ROOM_BYTES = 4 * 1024**3
"""Required disk space: for the images, their builder, the lab, and a rebuild of the images."""

STACK_TOOLS = {
    "podman": "podman",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "pasta": "passt",
    "crun": "crun",
}
"""Program -> Debian package for building and running the stack on this host."""
LAB_TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "slirp4netns": "slirp4netns",
    "nsenter": "util-linux",
}
"""Program -> Debian package for running a lab, which contains all other programs."""

KEYRING = (Path("/usr/share/keyrings/debian-archive-keyring.gpg"), "debian-archive-keyring")
"""File with the keys of Debian's archive, and its package."""
_MODERN_SINCE = {"debian": (13,), "ubuntu": (25, 4)}
"""Distribution -> first release whose own Podman is new enough."""
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
NO_MACHINES = "root cannot create namespaces here, as in an unprivileged container"
_USER_MANAGER_UP = ("running", "degraded", "starting")


@dataclasses.dataclass(frozen=True)
class Host:
    """Facts about this host.

    Args:
        distribution: ID of os-release ("debian"), followed by ID_LIKE.
        release: VERSION_ID of os-release; empty for a rolling distribution.
        machines: Whether this user may create the namespaces and mounts that a lab needs.
        user_manager: State of the user's systemd ("running"); empty if it is not running.
        systemd: Whether systemd is the init of this machine.
        linger: Whether the user's systemd keeps running without a login.
        podman: Version, or None if it is not installed.
        tools: Installed programs of STACK_TOOLS and LAB_TOOLS.
        apt: Whether Debian packages can be installed.
        keyring: Whether the keys of Debian's archive are installed.
        venv: Whether Python can create virtual environments.
        subordinate_ids: Whether the user has a range of subordinate IDs for containers.
        user_namespaces: Whether an unprivileged user may create user namespaces.
        controllers: cgroup v2 controllers delegated to the user's systemd; None on v1.
        selinux: Whether SELinux is enforcing.
        free_bytes: Free space on the disk of the cache.
        taken_ports: Ports of PORTS that are in use.
    """

    distribution: tuple[str, ...]
    release: str
    user: str
    root: bool
    machines: bool
    user_manager: str
    systemd: bool
    linger: bool
    podman: tuple[int, ...] | None
    tools: frozenset[str]
    apt: bool
    keyring: bool
    venv: bool
    subordinate_ids: bool
    user_namespaces: bool
    controllers: frozenset[str] | None
    selinux: bool
    free_bytes: int
    memory_bytes: int
    taken_ports: tuple[int, ...]


def probe() -> Host:
    """Probe this host without changing anything."""
    release = _os_release()
    user = pwd.getpwuid(os.geteuid()).pw_name
    wanted = {*STACK_TOOLS, *LAB_TOOLS}
    return Host(
        distribution=distribution(),
        release=release.get("VERSION_ID", ""),
        user=user,
        root=os.geteuid() == 0,
        machines=os.geteuid() == 0 and may_make_machines(),
        user_manager=_user_manager(),
        systemd=Path("/run/systemd/system").is_dir(),
        linger=Path("/var/lib/systemd/linger", user).exists(),
        podman=_podman_version(),
        tools=frozenset(tool for tool in wanted if process.find(tool)),
        apt=process.find("apt-get") is not None,
        keyring=KEYRING[0].exists(),
        venv=_has_venv(),
        subordinate_ids=all(
            has_range(_read(path), user, os.geteuid()) for path in ("/etc/subuid", "/etc/subgid")
        ),
        user_namespaces=_user_namespaces_allowed(),
        controllers=_delegated_controllers(),
        selinux=_read("/sys/fs/selinux/enforce").strip() == "1",
        free_bytes=_free_bytes(cache_dir()),
        memory_bytes=total_memory(),
        taken_ports=tuple(port for port in PORTS if _is_taken(port)),
    )


def why_not_here(host: Host | None = None) -> str | None:
    """Return why the stack can never run on a host (by default, this one), or None if it can."""
    found = host or probe()
    return next(_obstacles(found), None)


def why_no_lab(host: Host) -> str | None:
    """Return why a lab cannot run on this host, or None if it can, perhaps after installation."""
    if not host.root:
        return "a lab needs root"
    if not host.machines:
        return NO_MACHINES
    missing = missing_for_lab(host)
    if missing and not host.apt:
        return f"missing on this host: {', '.join(missing)}"
    return None


def find_session_remedy(host: Host) -> str:
    """Return the command that starts an unprivileged user's systemd; empty if none would help."""
    if host.root or host.user_manager or not host.systemd:
        return ""
    if not host.linger:
        return f"sudo loginctl enable-linger {host.user}"
    return f"sudo systemctl restart user@{os.geteuid()}.service"


def may_make_machines() -> bool:
    """Return whether this process may create the namespaces and mounts of a lab.

    Only an attempt shows that, because capabilities, seccomp and AppArmor all restrict it.
    """
    attempt = ["unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "true"]
    return process.run(attempt, check=False).returncode == 0


def missing_for_stack(host: Host) -> list[str]:
    """Return the missing Debian packages that the stack needs on this host."""
    missing = {package for tool, package in STACK_TOOLS.items() if tool not in host.tools}
    if not host.keyring:
        missing.add(KEYRING[1])
    if not host.venv:
        missing.add("python3-venv")
    return sorted(missing)


def missing_for_lab(host: Host) -> list[str]:
    """Return the missing Debian packages that a lab needs on this host."""
    missing = {package for tool, package in LAB_TOOLS.items() if tool not in host.tools}
    if not host.keyring:
        missing.add(KEYRING[1])
    return sorted(missing)


def total_memory() -> int:
    """Return the memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def distribution() -> tuple[str, ...]:
    """Return the ID of this host's os-release ("debian"), followed by ID_LIKE."""
    release = _os_release()
    return release.get("ID", ""), *release.get("ID_LIKE", "").split()


def parse_os_release(text: str) -> dict[str, str]:
    """Return the variables of an os-release file."""
    found = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator and not name.startswith("#"):
            found[name.strip()] = "".join(shlex.split(value))
    return found


def parse_release(version: str) -> tuple[int, ...]:
    """Parse a VERSION_ID: "25.04" becomes (25, 4); empty for a rolling distribution."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return the first version in a program's output ("podman version 5.4.2"), or None."""
    match = _VERSION.search(text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def offers_podman(host: Host) -> bool:
    """Return whether the distribution's Podman is new enough; True for unknown distributions."""
    since = _MODERN_SINCE.get(host.distribution[0])
    return since is None or not host.release or parse_release(host.release) >= since


def dotted(version: tuple[int, ...]) -> str:
    """Return a version with dots: (5, 4, 2) becomes "5.4.2"."""
    return ".".join(map(str, version))


def has_range(text: str, user: str, uid: int) -> bool:
    """Return whether a subuid or subgid file assigns the user enough IDs for containers."""
    for line in text.splitlines():
        owner, _, rest = line.partition(":")
        count = rest.rpartition(":")[2]
        # The highest ID in an image is that of the account `nobody`, 65534.
        if owner in (user, str(uid)) and count.isdigit() and int(count) >= 65536:  # noqa: PLR2004
            return True
    return False


def _obstacles(host: Host) -> Iterator[str]:
    """Yield the reasons why the stack cannot run on a host, the easiest to fix first."""
    if host.root and host.user_manager:
        yield "this is root, but the stack runs as an unprivileged user"
    if host.root:
        yield "no user systemd session (root without a login session)"
    if not host.user_manager:
        off = ", who is not logged in and whose linger is off"
        yield f"no user systemd session (user {host.user}{'' if host.linger else off})"
    if host.podman is None and not offers_podman(host):
        yield f"Podman is not installed, and {_named(host)} has a version older than 5.0"
    if host.podman is not None and host.podman < MINIMUM_PODMAN:
        yield f"Podman {dotted(host.podman)} is older than 5.0"
    if host.controllers is None:
        yield "it uses cgroup v1"
    if not host.user_namespaces:
        yield "unprivileged user namespaces are disabled"


def _named(host: Host) -> str:
    return " ".join([host.distribution[0].capitalize(), host.release])


def _os_release() -> dict[str, str]:
    return parse_os_release(_read("/etc/os-release"))


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text()
    return ""


def _user_manager() -> str:
    if process.find("systemctl") is None:
        return ""
    asked = process.run(["systemctl", "--user", "is-system-running"], check=False)
    state = asked.stdout.strip()
    return state if state in _USER_MANAGER_UP else ""


def _podman_version() -> tuple[int, ...] | None:
    if process.find("podman") is None:
        return None
    return parse_version(process.run(["podman", "--version"], check=False).stdout)


def _has_venv() -> bool:
    # On Debian, ensurepip is a separate package; without it, `python3 -m venv` fails halfway.
    asked = process.run(["python3", "-c", "import ensurepip, venv"], check=False)
    return asked.returncode == 0


def _user_namespaces_allowed() -> bool:
    off = _read("/proc/sys/kernel/unprivileged_userns_clone").strip() == "0"
    return not off and _read("/proc/sys/user/max_user_namespaces").strip() != "0"


def _delegated_controllers() -> frozenset[str] | None:
    root = Path("/sys/fs/cgroup")
    if not (root / "cgroup.controllers").exists():
        return None
    uid = os.geteuid()
    manager = root / f"user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers"
    return frozenset(_read(str(manager)).split())


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _is_taken(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
