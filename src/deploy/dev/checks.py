"""Static checks of the code, for `build.py lint`, the commit hook and the unit tests."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import paths, process
from deploy.bootstrap import venv
from deploy.bootstrap.entrypoint import write_output
from deploy.errors import DeployError
from deploy.progress import step

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKS: Mapping[str, tuple[str, ...]] = {
    "ruff check": ("ruff", "check", "--no-fix"),
    "ruff format": ("ruff", "format", "--check"),
    "mypy": ("mypy",),
    "lint-imports": ("lint-imports", "--no-logo"),
    "codespell": ("codespell",),
}
"""Check -> program of dev.lock with its arguments."""

_FIXES: Mapping[str, tuple[str, ...]] = {
    "ruff check --fix": ("ruff", "check", "--fix-only"),
    "ruff format": ("ruff", "format"),
}
_TIMEOUT_S = 3600.0
_MYPY_CACHE = paths.REPO / ".mypy_cache"


def lint() -> None:
    """Run all checks and print their reports; raise a DeployError that names the failed ones."""
    failed = []
    for name in CHECKS:
        report = find_problems(name)
        if report:
            failed.append(name)
            write_output(f"{report}\n")
    if failed:
        hint = "see the reports above; python3 build.py format fixes what ruff can fix safely"
        raise DeployError(f"failed: {', '.join(failed)}", hint=hint)


def find_problems(name: str) -> str:
    """Run one of the CHECKS, and return its report; empty if it passes.

    Raises:
        DeployError: The check timed out or failed without a report.
    """
    seed = venv.location("dev") / "mypy"
    if name == "mypy":
        copy_once(seed, _MYPY_CACHE)
    try:
        _run(name, CHECKS[name])
    except process.ToolError as error:
        # A check that the OOM killer stopped prints nothing, and has found no problem.
        if error.completed is None or not error.completed.stdout.strip():
            raise
        return error.completed.stdout
    if name == "mypy":
        copy_once(_MYPY_CACHE, seed)
    return ""


def format_code() -> None:
    """Format the code and apply ruff's safe fixes; raise a DeployError for syntax errors."""
    for name, words in _FIXES.items():
        write_output(f"{_run(name, words)}\n")


def copy_once(source: Path, target: Path) -> None:
    """Copy a folder atomically, unless the target exists.

    A new checkout starts with a copy of another checkout's mypy cache, because most of it describes
    the installed packages. mypy validates the cache.
    """
    if target.exists() or not source.exists() or not target.parent.exists():
        return
    # The copy only saves time. Another process may have created the target, or own its folder.
    with (
        contextlib.suppress(OSError),
        tempfile.TemporaryDirectory(prefix=".mypy-", dir=target.parent) as scratch,
    ):
        shutil.copytree(source, Path(scratch) / "whole").rename(target)


def _run(name: str, words: tuple[str, ...]) -> str:
    program = Path(sys.executable).with_name(words[0])
    with step(name) as current:
        completed = process.stream(
            [str(program), *words[1:]],
            current,
            timeout_s=_TIMEOUT_S,
            env={"PYTHONPATH": "src", "NO_COLOR": "1"},
            cwd=paths.REPO,
        )
    return completed.stdout
