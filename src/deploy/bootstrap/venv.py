"""Private Python environments, made from the hash-pinned locks. Standard library only.

`build.py` runs this before any package is installed, so this module starts programs itself. All
others use `deploy.process`.
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
"""Written last: an environment without it is incomplete and is created again."""
_UNUSED_S = 60 * 86400.0
_KILL_GRACE_S = 10.0
_PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^]]*])?==([^\s;]+)([^\\]*)", re.MULTILINE)


def entries(lock: str) -> list[tuple[str, str, str]]:
    """Name, version and marker (empty: for every platform) of everything in a lock."""
    return [(name, version, marker.strip()) for name, version, marker in _PIN.findall(lock)]


def versions(lock: str) -> dict[str, str]:
    """Name -> version of everything in a lock, markers or not."""
    return {name: version for name, version, _ in entries(lock)}


def pins(lock: str) -> dict[str, str]:
    """Name -> version of what a lock pins for every platform."""
    return {name: version for name, version, marker in entries(lock) if not marker}


def satisfied(wanted: Mapping[str, str]) -> bool:
    """Return whether this very process can import all of that, in those versions."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return all(importlib.metadata.version(name) == pin for name, pin in wanted.items())
    return False


def location(purpose: str) -> Path:
    """Return the folder of a lock's environment, which is unique to the lock and the Python."""
    made_of = (
        _lock(purpose),
        sys.version,
        sys.base_prefix,
        platform.machine(),
    )
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    return paths.cache_dir() / f"venv-{purpose}-{digest}"


def enter(purpose: str, *, install: bool = False) -> None:
    """Return when this process has what `PURPOSE.lock` pins; otherwise start over where it has.

    The environment is made when it is missing. Starting over replaces this process, with the
    same arguments: nothing after the call happens twice.

    Args:
        purpose: Name of the lock.
        install: Whether root may install the Debian package that provides venv.

    Raises:
        DeployError: The environment cannot be made (no venv, no network, no space, a hash
            that differs), is damaged, or is hidden from this process.
    """
    if satisfied(pins(_lock(purpose))):
        return
    target = location(purpose)
    if Path(sys.prefix) == target:
        message = f"the Python environment {target} is damaged"
        hint = f"remove it with rm -r {target} (it is only a cache), and run the command again"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    # sys.prefix is that of the environment only where `site` ran: starting over would do the
    # same again, without end.
    if sys.flags.no_site or Path(sys.executable) == target / "bin/python":
        message = "this Python does not import packages from virtual environments"
        hint = "start build.py without -S and without PYTHONHOME"
        raise DeployError(message, hint=hint, code=ExitCode.CONFIG)
    _restart(ensure(purpose, install=install))


def ensure(purpose: str, *, install: bool = False) -> Path:
    """Create the environment of `PURPOSE.lock` if it is missing, and return its Python.

    Safe to call at the same time from several processes: one makes it, the others wait.

    Args:
        purpose: As for `enter`.
        install: As for `enter`.

    Raises:
        DeployError: As for `enter`.
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
    # Shows `_remove_unused` that this one is in use; another user's cache may be read-only.
    with contextlib.suppress(OSError):
        os.utime(target / _STAMP)
    return target / "bin/python"


def _lock(purpose: str) -> str:
    return paths.lock_file(purpose).read_text()


def _restart(python: Path) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal that arrives while Python starts would end in a traceback: it waits, across the
    # exec, until `entrypoint.guard` can take it.
    signal.pthread_sigmask(signal.SIG_BLOCK, entrypoint.SIGNALS)
    os.execv(python, [str(python), *sys.orig_argv[1:]])  # noqa: S606 - no shell is the point


def _usable(target: Path) -> bool:
    # bin/python is a link, which dangles once the Python that it was made with is gone.
    return (target / _STAMP).exists() and (target / "bin/python").exists()


def _make(target: Path, lock: Path, current: Step) -> None:
    # In place, not beside and renamed: scripts and byte code carry the path they were
    # installed to. The stamp makes it complete for all other processes at once.
    shutil.rmtree(target, ignore_errors=True)
    python = str(target / "bin/python")
    try:
        _run([sys.executable, "-m", "venv", "--without-pip", str(target)], current)
        scratch = target / "tmp"
        scratch.mkdir()
        # The lock is complete: there is nothing to resolve. pip would compile on one core.
        options = ("--require-hashes", "--no-deps", "--no-compile", "--progress-bar=off")
        quiet = ("--no-input", "--disable-pip-version-check")
        # The user's pip configuration counts (mirror, proxy, certificates), but not where
        # it would install to.
        _run(
            [python, _unpack_pip(scratch), "install", *options, *quiet, "-r", str(lock)],
            current,
            # Files of an interrupted pip are removed with the folder.
            env={"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "TMPDIR": str(scratch)},
        )
        # Only saves time: a package may ship a file that no Python compiles.
        with contextlib.suppress(DeployError):
            current.note("compiling")
            _run([python, "-m", "compileall", "-qq", "-j0", str(target / "lib")], current)
        shutil.rmtree(scratch)
        (target / _STAMP).touch()
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _unpack_pip(folder: Path) -> str:
    """Unpack the pip that ensurepip would install, and return the program.

    It runs as it is: installing it first would cost as much as ten packages, and leave
    something in the environment that no lock pins.
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
    """Return the wheel that ensurepip would install: the distribution's, or Python's own."""
    spec = importlib.util.find_spec("ensurepip")
    own = Path(spec.origin).with_name("_bundled") if spec and spec.origin else None
    for folder in (sysconfig.get_config_var("WHEEL_PKG_DIR"), own):
        wheels = sorted(Path(folder).glob("pip-*.whl")) if folder else []
        if wheels:
            return wheels[-1]
    return None


def _remove_unused(target: Path, purpose: str) -> None:
    """Remove the environments of older locks that nobody used for two months."""
    for other in target.parent.glob(f"venv-{purpose}-*"):
        stamp = other / _STAMP
        with contextlib.suppress(OSError):
            if other != target and time.time() - stamp.stat().st_mtime > _UNUSED_S:
                shutil.rmtree(other)


def _require_venv(*, install: bool) -> None:
    """Make sure that this Python can make environments; Debian packages that part apart."""
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
    """Run a program to its end; whatever happens, it does not outlive this call."""
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
            # Kindly first: dpkg cut short has to be repaired by hand.
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
