"""Hash-pinned lock files: their resolution by uv, and their check against pyproject.toml."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import paths, process
from deploy.bootstrap import venv
from deploy.errors import DeployError, ExitCode
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_RESOLVE_TIMEOUT_S = 3600.0


@dataclasses.dataclass(frozen=True)
class Lock:
    """Lock file for groups of dependencies in pyproject.toml.

    Attributes:
        name: Name of the file, without its suffix.
        groups: Dependency groups in the lock.
        project: Whether it also pins the project's own dependencies.
        agrees_with: Locks resolved before; packages in both locks have the same version.
        with_dependencies: Whether it also pins dependencies of the packages. Without them, the
            packages are only files to read.
    """

    name: str
    groups: tuple[str, ...]
    project: bool
    agrees_with: tuple[str, ...] = ()
    with_dependencies: bool = True


LOCKS = (
    Lock("runtime", ("runtime",), project=True),
    Lock("build", ("build",), project=False),
    Lock("dev", ("dev",), project=True, agrees_with=("runtime", "build")),
    # It agrees with dev, so that the tests run the served versions.
    Lock("serve", ("serve",), project=True, agrees_with=("runtime", "build", "dev")),
    # Both sides of the measurement must use the same versions.
    Lock("bench", ("bench",), project=False, agrees_with=("runtime",)),
    # An image combines these packages with those of runtime.
    Lock("otel", ("otel",), project=False, agrees_with=("runtime", "dev")),
    Lock("scan", ("scan",), project=False),
    Lock("audit", ("audit",), project=False),
    Lock("mcp", ("mcp",), project=False),
    Lock("attacks", ("attacks",), project=False, with_dependencies=False),
    # Only the model in the wheel is used.
    Lock("model", ("model",), project=False, with_dependencies=False),
)


def render_argv(lock: Lock, folder: Path, python: str) -> list[str]:
    """Return the uv command that resolves a lock into a folder with the locks resolved before."""
    project = str(paths.REPO / "pyproject.toml")
    sources = [project] if lock.project else []
    groups = [f"--group={project}:{group}" for group in lock.groups]
    constraints = [f"--constraint={folder / other}.lock" for other in lock.agrees_with]
    depth = [] if lock.with_dependencies else ["--no-deps"]
    return [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "compile",
        "--quiet",
        "--universal",
        f"--python-version={python}",
        "--generate-hashes",
        # These options keep URLs and paths of this machine out of the result.
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-find-links",
        f"--output-file={folder / lock.name}.lock",
        *depth,
        *constraints,
        *sources,
        *groups,
    ]


def render_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return one line for each package whose version differs, in alphabetical order."""
    lines = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            lines.append(f"  + {name} {new}")
        elif new is None:
            lines.append(f"  - {name} {old}")
        elif old != new:
            lines.append(f"    {name} {old} -> {new}")
    return lines


def refresh(*, upgrade: bool) -> list[str]:
    """Resolve all locks, replace their files together, and return a report of the changes.

    Args:
        upgrade: Whether to use the newest versions that pyproject.toml allows, instead of keeping
            versions that satisfy it.

    Raises:
        DeployError: The resolver failed, or the network is not available.
    """
    python = _project()["requires-python"].removeprefix(">=")
    report: list[str] = []
    # This folder is on the same file system as the locks, so that a rename can replace them.
    with tempfile.TemporaryDirectory(prefix=".lock-", dir=paths.REPO) as name:
        folder = Path(name)
        for lock in LOCKS:
            current, fresh = paths.lock_file(lock.name), folder / f"{lock.name}.lock"
            if current.exists() and not upgrade:
                fresh.write_text(current.read_text())
            with step(f"Resolving {current.name}") as progress:
                argv = render_argv(lock, folder, python)
                process.stream(argv, progress, timeout_s=_RESOLVE_TIMEOUT_S, cwd=paths.REPO)
        for lock in LOCKS:
            current, fresh = paths.lock_file(lock.name), folder / f"{lock.name}.lock"
            old = current.read_text() if current.exists() else ""
            new = fresh.read_text()
            changes = render_changes(venv.versions(old), venv.versions(new))
            if not changes and old != new:
                changes = ["    hashes or markers"]
            report += [f"{current.name}: {'changed' if changes else 'unchanged'}", *changes]
            fresh.replace(current)
    return report


def check() -> list[str]:
    """Return the problems of the locks, one line each, without using the network.

    The locks must pin every direct dependency in a version that pyproject.toml allows, with
    hashes, and agree with one another.
    """
    text = {
        lock.name: paths.lock_file(lock.name).read_text()
        for lock in LOCKS
        if paths.lock_file(lock.name).exists()
    }
    problems = [f"{lock.name}.lock is missing" for lock in LOCKS if lock.name not in text]
    found = {name: venv.versions(lock) for name, lock in text.items()}
    for lock in LOCKS:
        if lock.name not in text:
            continue
        for requirement in _requirements(lock):
            problem = find_problem(requirement, found[lock.name])
            if problem:
                problems.append(f"{lock.name}.lock {problem}")
        problems += [
            f"{lock.name}.lock pins {name} without a hash" for name in bare(text[lock.name])
        ]
        for other in lock.agrees_with:
            problems += [
                f"{lock.name}.lock pins {name} {found[lock.name][name]}, {other}.lock {version}"
                for name, version in found.get(other, {}).items()
                if found[lock.name].get(name, version) != version
            ]
    return problems


def require_current() -> None:
    """Raise a DeployError with the first problem of the locks, if any."""
    problems = check()
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DeployError(
            f"{problems[0]}{more}", hint="run: python3 build.py lock", code=ExitCode.DATA
        )


def bare(lock: str) -> list[str]:
    """Return the packages that have no hash in a lock."""
    blocks = lock.replace("\\\n", " ").splitlines()
    return [block.split("==")[0] for block in blocks if "==" in block and "--hash=" not in block]


def find_problem(requirement: str, pinned: Mapping[str, str]) -> str | None:
    """Return why the pinned versions do not satisfy a requirement, or None."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - from dev.lock
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    wanted = Requirement(requirement)
    version = pinned.get(canonicalize_name(wanted.name))
    if version is None:
        return f"lacks {wanted.name}"
    if not wanted.specifier.contains(version, prereleases=True):
        return f"pins {wanted.name} {version}, pyproject.toml wants {wanted.specifier}"
    return None


def _requirements(lock: Lock) -> Iterable[str]:
    if lock.project:
        yield from _project()["dependencies"]
    for group in lock.groups:
        yield from _group(group)


def _group(name: str) -> Iterable[str]:
    entries: Sequence[Any] = _pyproject()["dependency-groups"][name]
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _group(entry["include-group"])


def _project() -> Mapping[str, Any]:
    project: Mapping[str, Any] = _pyproject()["project"]
    return project


def _pyproject() -> Mapping[str, Any]:
    return tomllib.loads((paths.REPO / "pyproject.toml").read_text())
