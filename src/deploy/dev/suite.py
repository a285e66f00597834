"""The test tiers: their requirements on this machine, and one pytest for the requested ones."""

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
"""Maximum number of processes. Each imports the program and collects all tests, which takes
seconds."""
_ORDER = ("faults", "system", "integration", "unit")
"""The slowest tiers start first; short ones fill the gaps at the end."""
_IN_LABS = {"system", "faults"}
_MEASURED = {"unit", "integration"}
"""The tiers whose coverage has a floor. In a lab, the code runs in containers and machines."""


def render_argv(
    tiers: Sequence[str], arguments: Sequence[str], *, coverage: bool = False
) -> list[str]:
    """The arguments of the one pytest that runs these tiers, whatever the current folder is."""
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
        # The tests in a lab share one machine. Arguments may name a single test.
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
    # The floor is that of whole tiers.
    whole = not arguments and set(tiers) >= _MEASURED
    return options if whole else [*options, "--cov-fail-under=0"]


def find_obstacle() -> DeployError | None:
    """Return the reason why the system tests cannot run here; other tiers have no such needs."""
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
    """Provide what the tiers need; asks for nothing that is already there.

    Raises:
        DeployError: A package cannot be installed.
    """
    if _IN_LABS & set(tiers):
        # The README says that, as root, the tests install what they need.
        packages.ensure_lab_packages(assume_yes=True)
    if "integration" not in tiers:
        return
    suite_programs.ensure_programs()
    # Here, where its progress is seen and no test's time runs out over a download.
    for purpose in ("attacks", "audit", "mcp"):
        venv.ensure(purpose)


def choose(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], DeployError | None]:
    """Decide what a command line runs on this machine, before anything is installed for it.

    Returns:
        Tiers, arguments for pytest, and the error to end with where one of several tiers cannot
        run here.

    Raises:
        DeployError: As `commands.split_tiers`, or nothing that was asked for can run here.
    """
    tiers, arguments = commands.split_tiers(words)
    obstacle = find_obstacle() if _IN_LABS & set(tiers) else None
    if obstacle is not None:
        tiers = tuple(tier for tier in tiers if tier not in _IN_LABS)
        if not tiers:
            raise obstacle
    return tiers, arguments, obstacle


def run_tiers(words: Sequence[str], *, coverage: bool = False) -> int:
    """Run the tiers and return the exit code; pytest's closing line is the last one printed.

    Runs pytest in this process, so that a Ctrl-C reaches it once and its fixtures clean up.

    Args:
        words: Tiers and arguments for pytest.
        coverage: Whether to measure which lines run, and to fail below the floor.

    Raises:
        DeployError: As `choose` and `prepare`; or, after the others ran, a tier could not.
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
