"""Root file system of labs, created from signed Debian packages and cached by digest."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import itertools
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import failure_hints, folder_lock, process
from deploy.errors import DeployError, ExitCode
from deploy.paths import cache_dir
from deploy.progress import say, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deploy.progress import Step

SUITE = "trixie"
USER = "todo"
UID = 1000
CACHE = "/var/cache/lab"
CHECKOUT = "/srv/todo-backend"

_PACKAGES = (
    "aardvark-dns",
    "buildah",
    "ca-certificates",
    "catatonit",
    "crun",
    "curl",
    "dbus-user-session",
    "git",
    "iproute2",
    "libpam-systemd",
    "mmdebstrap",
    "netavark",
    "nftables",
    "passt",
    "podman",
    "procps",
    "python3",
    "python3-venv",
    "skopeo",
    "systemd",
    "systemd-sysv",
    "uidmap",
    "zstd",
)
_HOST_CAS = Path("/usr/local/share/ca-certificates")

# Units that would change the host's kernel, which the lab shares, or are useless in a lab.
_MASKED = (
    "console-getty.service",
    "getty.target",
    "kmod-static-nodes.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-sysctl.service",
)
_FILES = {
    # In the lab, the checkout belongs to another user and is read-only.
    "etc/gitconfig": f"[safe]\n\tdirectory = {CHECKOUT}\n",
    # pasta, the network of rootless containers, opens this device as an unprivileged user. The
    # device node is the lab's own, so the host's keeps its mode.
    "etc/tmpfiles.d/lab.conf": "z /dev/net/tun 0666 - - -\n",
    f"var/lib/systemd/linger/{USER}": "",
    "etc/machine-id": "",
}

_MAX_AGE_S = 7 * 86400.0
"""Maximum age of the packages in seconds, which limits the delay of security updates."""
_ROOM_MIB = 900
"""Free space in MiB needed to create the file system, which then occupies 530 MiB."""
_NEW = ".new-"
_BUILD_TIMEOUT_S = 1800.0


def key(certificates: Mapping[str, bytes]) -> str:
    """Return the cache key of a root file system: a digest of everything that it is made from."""
    digest = hashlib.sha256()
    # The source code of the functions that create the file system serves as its version.
    code = (inspect.getsource(part) for part in (bootstrap_argv, _set_up))
    for part in (SUITE, *_PACKAGES, *_MASKED, *itertools.chain(*_FILES.items()), *code):
        digest.update(part.encode() + b"\0")
    for name, content in sorted(certificates.items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:16]


def bootstrap_argv(tree: Path) -> list[str]:
    """Return the command that unpacks the packages into a folder.

    mmdebstrap mounts and starts things, so it gets namespaces of its own, which end when this
    process ends, however it does: neither mounts nor processes survive a kill -9.
    """
    contain = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork"]
    return [
        *contain,
        "--kill-child",
        "--mount-proc",
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        # The tree is made again when it is lost: waiting for the disk is in vain.
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        f"--include={','.join(_PACKAGES)}",
        SUITE,
        str(tree),
    ]


def ensure() -> Path:
    """Return the folder of an up-to-date root file system, creating it if necessary.

    Raises:
        DeployError: A tool is missing, the disk is full, or the download failed and no older file
            system exists.
    """
    certificates = host_certificates()
    name = key(certificates)
    folder = cache_dir() / "lab"
    _private(folder)
    title = "Waiting for another command that creates the lab's root file system"
    with folder_lock.hold(folder, lambda: step(title)):
        for left in folder.glob(f"{_NEW}*"):
            shutil.rmtree(left)
        present = max(folder.glob(f"{name}-*"), default=None, key=_made_at)
        if present is None:
            present = _make(folder, name, certificates)
        elif time.time() - _made_at(present) > _MAX_AGE_S:
            present = _renew(folder, name, certificates, present)
        _prune(folder, keep=present)
    return present


def shared_cache() -> Path:
    """Return the folder for images and packages that all labs share, creating it if missing."""
    folder = cache_dir() / "lab-cache"
    _private(folder.parent)
    folder.mkdir(exist_ok=True)
    os.chown(folder, UID, UID)
    return folder


@contextlib.contextmanager
def in_use(tree: Path) -> Iterator[int]:
    """Lock a root file system against pruning; yield the descriptor that holds the lock."""
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def host_certificates() -> dict[str, bytes]:
    """Return the CA certificates that were added to this host, by file name."""
    return {path.name: path.read_bytes() for path in sorted(_HOST_CAS.glob("*.crt"))}


def _make(folder: Path, name: str, certificates: Mapping[str, bytes]) -> Path:
    free_mib = shutil.disk_usage(folder).free >> 20
    if free_mib < _ROOM_MIB:
        # Otherwise apt or dpkg would fail after half a minute, with less clear errors.
        message = (
            f"the lab's root file system needs {_ROOM_MIB} MiB, but only {free_mib} MiB are free"
        )
        raise DeployError(message, hint=failure_hints.NO_SPACE.hint, code=ExitCode.NO_SPACE)
    new = folder / f"{_NEW}{os.getpid()}"
    new.mkdir()
    tree = new / "root"
    try:
        with step(f"Creating the lab's root file system (Debian {SUITE})") as current:
            (new / "tmp").mkdir()
            _bootstrap(tree, new / "tmp", current)
            _set_up(tree, certificates, current)
        # The creation time distinguishes file systems with the same key.
        final = folder / f"{name}-{time.time():.0f}"
        tree.rename(final)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return final


def _renew(folder: Path, name: str, certificates: Mapping[str, bytes], present: Path) -> Path:
    try:
        return _make(folder, name, certificates)
    except DeployError as error:
        if error.code is not ExitCode.UNAVAILABLE:
            raise
        days = (time.time() - _made_at(present)) / 86400
        say(f"The lab's packages are {days:.0f} days old: {error.message}")
        return present


def _bootstrap(tree: Path, temporary: Path, current: Step) -> None:
    env = {"TMPDIR": str(temporary)}
    try:
        process.stream(bootstrap_argv(tree), current, timeout_s=_BUILD_TIMEOUT_S, env=env)
    except process.ToolError as error:
        # The cause may be far above the last lines of the output.
        cause = failure_hints.find(error.completed.stdout) if error.completed else None
        if cause is not None:
            message = f"mmdebstrap {cause.message}"
            raise DeployError(message, hint=cause.hint, code=cause.code) from None
        error.message = error.message.replace("setpriv", "mmdebstrap", 1)
        raise


def _set_up(tree: Path, certificates: Mapping[str, bytes], current: Step) -> None:
    current.note("setting up")
    for path, content in _FILES.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    for unit in _MASKED:
        (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
    # Rootless Podman's units wait for it, and nothing else here would start it.
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "network-online.target").symlink_to("/usr/lib/systemd/system/network-online.target")
    for name, certificate in certificates.items():
        (tree / "usr/local/share/ca-certificates" / name).write_bytes(certificate)
    chroot = ["chroot", str(tree)]
    process.run([*chroot, "update-ca-certificates"])
    process.run([*chroot, "useradd", "--create-home", "--shell=/bin/bash", f"--uid={UID}", USER])
    # Mount points, so that a lab writes nothing into its own layer for them.
    for path in (CACHE, CHECKOUT):
        (tree / path[1:]).mkdir(parents=True)


def _made_at(tree: Path) -> float:
    return float(tree.name.rpartition("-")[2])


def _prune(folder: Path, keep: Path) -> None:
    """Remove outdated root file systems that no lab uses."""
    for tree in folder.glob("*-*"):
        if tree == keep or tree.name.startswith("."):
            continue
        descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(tree)
        except BlockingIOError:
            continue  # a lab runs on it
        finally:
            os.close(descriptor)


def _private(folder: Path) -> None:
    """Create a folder that only root can access, for setuid programs and other users' files."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
