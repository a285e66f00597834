"""Private Python environments, created from hash-pinned lock files. Standard library only.

`build.py` runs this before any package is installed, so this module starts programs without
`deploy.process`.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from deploy import failure_hints, folder_lock, paths
from deploy.bootstrap import entrypoint
from deploy.errors import DeployError, ExitCode
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from deploy.progress import Step

_STAMP = "complete"
"""Name of the file that marks an environment as complete; it is created last."""
_UNUSED_S = 60 * 86400.0
_KILL_GRACE_S = 10.0
_PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^]]*])?==([^\s;]+)([^\\]*)", re.MULTILINE)


def entries(lock: str) -> list[tuple[str, str, str]]:
    """Return the name, version and marker of each pin in a lock; no marker means all platforms."""
    return [(name, version, marker.strip()) for name, version, marker in _PIN.findall(lock)]


def versions(lock: str) -> dict[str, str]:
    """Return name -> version of all pins in a lock, with or without markers."""
    return {name: version for name, version, _ in entries(lock)}


def pins(lock: str) -> dict[str, str]:
    """Return name -> version of the pins in a lock that apply to all platforms."""
    return {name: version for name, version, marker in entries(lock) if not marker}


def satisfied(wanted: Mapping[str, str]) -> bool:
    """Return whether this process can import the packages in exactly the given versions."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return all(importlib.metadata.version(name) == pin for name, pin in wanted.items())
    return False


def location(purpose: str) -> Path:
    """Return the folder of an environment, named by a hash of its lock and this Python."""
    made_of = (
        _lock(purpose),
        sys.version,
        sys.base_prefix,
        platform.machine(),
    )
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    return paths.cache_dir() / f"venv-{purpose}-{digest}"


def enter(purpose: str, *, install: bool = False) -> None:
    """Make this process run in the environment of `PURPOSE.lock`.

    Return if the pinned packages are importable. Otherwise create the environment if needed, and
    replace this process with the same command line in the environment.

    Args:
        purpose: Name of the lock file, without its suffix.
        install: Whether root may install the Debian package that provides venv.

    Raises:
        DeployError: The environment cannot be created (no venv, no network, no space, wrong
            hash), is damaged, or is ignored by this Python (`-S`, PYTHONHOME).
    """
    if satisfied(pins(_lock(purpose))):
        return
    target = location(purpose)
    if Path(sys.prefix) == target:
        message = f"the Python environment {target} is damaged"
        hint = f"remove it with rm -r {target} (it is only a cache), and run the command again"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    # Without `site`, sys.prefix is never the environment, and the process would restart forever.
    if sys.flags.no_site or Path(sys.executable) == target / "bin/python":
        message = "this Python does not import packages from virtual environments"
        hint = "start build.py without -S and without PYTHONHOME"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    _restart(ensure(purpose, install=install))


def ensure(purpose: str, *, install: bool = False) -> Path:
    """Create the environment of `PURPOSE.lock` if it is missing, and return its Python.

    Several processes may call this at the same time: one creates the environment, the others
    wait. Arguments and errors are those of `enter`.
    """
    target = location(purpose)
    if not _usable(target):
        _require_venv(install=install)
        target.parent.mkdir(parents=True, exist_ok=True)
        with step(f"Preparing the Python environment ({purpose}.lock)") as current:

            def waiting() -> AbstractContextManager[None]:
                current.note("waiting for another build.py that prepares it")
                return contextlib.nullcontext()

            with folder_lock.hold(target.parent, waiting):
                if not _usable(target):
                    _make(target, paths.lock_file(purpose), current)
            _remove_unused(target, purpose)
    # `_remove_unused` reads this time; another user's cache may be read-only.
    with contextlib.suppress(OSError):
        os.utime(target / _STAMP)
    return target / "bin/python"


def _lock(purpose: str) -> str:
    return paths.lock_file(purpose).read_text()


def _restart(python: Path) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal while Python starts would cause a traceback; `entrypoint.guard` unblocks them.
    signal.pthread_sigmask(signal.SIG_BLOCK, entrypoint.SIGNALS)
    os.execv(python, [str(python), *sys.orig_argv[1:]])  # noqa: S606 - no shell is the point


def _usable(target: Path) -> bool:
    # bin/python is a symlink, which dangles if the Python that created it was removed.
    return (target / _STAMP).exists() and (target / "bin/python").exists()


def _make(target: Path, lock: Path, current: Step) -> None:
    # It is created in place, because scripts and byte code contain their installation path. The
    # stamp publishes it to other processes atomically.
    shutil.rmtree(target, ignore_errors=True)
    python = str(target / "bin/python")
    try:
        _run([sys.executable, "-m", "venv", "--without-pip", str(target)], current)
        scratch = target / "tmp"
        scratch.mkdir()
        # The lock is complete, so nothing is resolved. pip would compile on a single core.
        options = ("--require-hashes", "--no-deps", "--no-compile", "--progress-bar=off")
        quiet = ("--no-input", "--disable-pip-version-check")
        # The user's pip configuration applies (mirror, proxy, certificates), except its target.
        _run(
            [python, _unpack_pip(scratch), "install", *options, *quiet, "-r", str(lock)],
            current,
            # Files of an interrupted pip are removed with the folder.
            env={"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "TMPDIR": str(scratch)},
        )
        # Compiling only saves time, and some packages contain files that cannot be compiled.
        with contextlib.suppress(DeployError):
            current.note("compiling")
            _run([python, "-m", "compileall", "-qq", "-j0", str(target / "lib")], current)
        shutil.rmtree(scratch)
        (target / _STAMP).touch()
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _unpack_pip(folder: Path) -> str:
    """Unpack the pip that ensurepip would install, and return the path to run.

    Installing pip would take as long as ten packages and add an unpinned package.
    """
    wheel = _find_pip()
    if wheel is None:
        raise DeployError(
            f"{sys.executable} cannot create virtual environments: its pip wheel is missing",
            hint="use a complete Python installation",
            code=ExitCode.UNAVAILABLE,
        )
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return str(folder / "pip")


def _find_pip() -> Path | None:
    """Return the pip wheel of the distribution or of ensurepip, or None."""
    spec = importlib.util.find_spec("ensurepip")
    own = Path(spec.origin).with_name("_bundled") if spec and spec.origin else None
    for folder in (sysconfig.get_config_var("WHEEL_PKG_DIR"), own):
        wheels = sorted(Path(folder).glob("pip-*.whl")) if folder else []
        if wheels:
            return wheels[-1]
    return None


def _remove_unused(target: Path, purpose: str) -> None:
    """Remove the environments of older locks that were not used for two months."""
    for other in target.parent.glob(f"venv-{purpose}-*"):
        stamp = other / _STAMP
        with contextlib.suppress(OSError):
            if other != target and time.time() - stamp.stat().st_mtime > _UNUSED_S:
                shutil.rmtree(other)


def _require_venv(*, install: bool) -> None:
    """Ensure that this Python can create environments; on Debian, venv is a separate package."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if sys.base_prefix != "/usr" or shutil.which("apt-get") is None:
        message = (
            f"{sys.executable} cannot create virtual environments: its module ensurepip is missing"
        )
        raise DeployError(
            message, hint="use a complete Python installation", code=ExitCode.UNAVAILABLE
        )
    argv = ["apt-get", "install", "-y", "--no-install-recommends", f"{minor}-venv"]
    root = os.geteuid() == 0
    if not (root and install):
        message = f"this Python cannot create virtual environments: {minor}-venv is not installed"
        hint = f"run: {'' if root else 'sudo '}{' '.join(argv)}"
        raise DeployError(message, hint=hint, code=ExitCode.UNAVAILABLE)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {minor}-venv") as current:
        try:
            _run(argv, current, env=quiet)
        except DeployError:  # on a fresh machine the package lists are empty or stale
            _run(["apt-get", "update"], current, env=quiet)
            _run(argv, current, env=quiet)
    importlib.invalidate_caches()


def _run(argv: Sequence[str], current: Step, env: Mapping[str, str] | None = None) -> None:
    """Run a program and wait for it; end its process group if interrupted."""
    tail: collections.deque[str] = collections.deque(maxlen=40)
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                current.note(line)
                tail.append(line.strip())
            process.wait()
        except BaseException:
            # SIGTERM is first, because a killed dpkg must be repaired by hand.
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(timeout=_KILL_GRACE_S)
            raise
    if process.returncode != 0:
        raise _failed(argv, [line for line in tail if line])


def _failed(argv: Sequence[str], lines: Sequence[str]) -> DeployError:
    names = [Path(word).name for word in argv]
    tool = next((name for name in ("pip", "venv") if name in names), argv[0])
    text = "\n".join(lines)
    symptom = failure_hints.find(text)
    if symptom is not None:
        return DeployError(f"{tool} {symptom.message}", hint=symptom.hint, code=symptom.code)
    if "DO NOT MATCH THE HASHES" in text:
        return DeployError(
            "a downloaded package differs from the hash in the lock",
            hint="the package index or a proxy changed the file; nothing was installed",
            code=ExitCode.DATA,
        )
    errors = [line for line in lines if line.startswith(("ERROR:", "E:"))]
    last = (errors or list(lines) or ["no output"])[-1]
    return DeployError(f"{tool} failed: {last}", hint=f"to replay: {' '.join(argv)}")
