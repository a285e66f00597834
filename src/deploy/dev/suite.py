"""Test tiers: their requirements on this machine, and the run of pytest for them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import paths
from deploy.bootstrap import commands, venv
from deploy.dev import suite_programs
from deploy.errors import DeployError, ExitCode
from deploy.host import packages

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUS = Path("/proc/self/status")
_CAP_SYS_ADMIN = 21
_MAX_WORKERS = 4
"""Maximum number of processes; each needs seconds to import the program and collect all tests."""
_ORDER = ("faults", "system", "integration", "unit")
"""Order in which tiers start: the slowest first, so that short tests fill the gaps at the end."""
_IN_LABS = {"system", "faults"}
_MEASURED = {"unit", "integration"}
"""Tiers with a minimum coverage. In the others, the code runs in containers and machines."""


def render_argv(
    tiers: Sequence[str], arguments: Sequence[str], *, coverage: bool = False
) -> list[str]:
    """Return pytest's arguments for the tiers; they do not depend on the current folder."""
    return [
        f"--rootdir={paths.REPO}",
        f"--config-file={paths.REPO / 'pyproject.toml'}",
        *_spread(tiers),
        *(_measure(tiers, arguments) if coverage else []),
        *(str(paths.REPO / "tests" / tier) for tier in sorted(tiers, key=_ORDER.index)),
        *arguments,
    ]


def _spread(tiers: Sequence[str]) -> list[str]:
    if not {"unit", "integration"} & set(tiers):
        # Tests in a lab share one machine, and arguments may name a single test.
        return []
    # Lab tests mostly wait for their machine, so one more process costs little.
    number = min(len(os.sched_getaffinity(0)) + bool(_IN_LABS & set(tiers)), _MAX_WORKERS)
    if number == 1:
        return []
    plugins = ["-p", "xdist.plugin", "-p", "tests.spread"]
    scheduler = ["--dist", "loadscope", "--no-loadscope-reorder"]
    return [*plugins, "--numprocesses", str(number), *scheduler]


def _measure(tiers: Sequence[str], arguments: Sequence[str]) -> list[str]:
    options = ["-p", "pytest_cov.plugin", "--cov", f"--cov-config={paths.REPO / 'pyproject.toml'}"]
    # The minimum coverage applies only to whole tiers.
    whole = not arguments and set(tiers) >= _MEASURED
    return options if whole else [*options, "--cov-fail-under=0"]


def find_obstacle() -> DeployError | None:
    """Return an error with the reason why tests in a lab cannot run here, or None."""
    if os.geteuid() != 0:
        reason, hint = "which requires root", "run them with sudo"
    elif not _may_administer(_STATUS.read_text()):
        reason = "which this container cannot do because it lacks CAP_SYS_ADMIN"
        hint = "run them outside of a container, or in a privileged container"
    else:
        return None
    message = f"the system tests did not run: they boot a lab machine, {reason}"
    return DeployError(message, hint=hint, code=ExitCode.CONFIG)


def _may_administer(status: str) -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is None or bool(int(found[1], 16) >> _CAP_SYS_ADMIN & 1)


def prepare(tiers: Sequence[str]) -> None:
    """Install the missing packages and programs that the tiers need."""
    if _IN_LABS & set(tiers):
        # The README documents that the tests install packages as root.
        packages.ensure_lab_packages(assume_yes=True)
    if "integration" not in tiers:
        return
    suite_programs.ensure_programs()
    # They are created before the tests, so that progress is visible and no test times out.
    for purpose in ("attacks", "audit", "mcp"):
        venv.ensure(purpose)


def choose(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], DeployError | None]:
    """Return the tiers of a command line that can run on this machine.

    Returns:
        Tiers, arguments for pytest, and the error to raise after the run if a tier is left out.

    Raises:
        DeployError: A word is not a tier, or none of the tiers can run here.
    """
    tiers, arguments = commands.split_tiers(words)
    obstacle = find_obstacle() if _IN_LABS & set(tiers) else None
    if obstacle is not None:
        tiers = tuple(tier for tier in tiers if tier not in _IN_LABS)
        if not tiers:
            raise obstacle
    return tiers, arguments, obstacle


def run_tiers(words: Sequence[str], *, coverage: bool = False) -> int:
    """Run test tiers and return the exit code; with `coverage`, fail if the coverage is too low.

    pytest runs in this process, so that Ctrl-C reaches it only once and its fixtures clean up.

    Raises:
        DeployError: The arguments are invalid, a package cannot be installed, or (after the other
            tiers ran) a tier cannot run here.
        KeyboardInterrupt: The tests were interrupted.
    """
    tiers, arguments, obstacle = choose(words)
    prepare(tiers)
    import pytest  # noqa: PLC0415 - lives in the environment of dev.lock only

    code = int(pytest.main(render_argv(tiers, arguments, coverage=coverage)))
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if obstacle is not None:
        raise obstacle
    return code
