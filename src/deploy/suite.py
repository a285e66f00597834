"""The test tiers: what each needs on this machine, and one pytest for those asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deploy import host_packages, paths, suite_programs, venv
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

TIERS = ("unit", "integration", "system")
_MOST_WORKERS = 4
"""Each imports the program and collects all tests, which takes seconds."""


def split(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part a command line into tiers and arguments for pytest.

    Arguments begin at the first word that is an option or a path; without any tier before
    them, a path stands for itself and anything else applies to all tiers.

    Raises:
        DeployError: A word before them is not a tier.
    """
    start = next(
        (at for at, word in enumerate(words) if word.startswith("-") or "/" in word), len(words)
    )
    named, arguments = words[:start], tuple(words[start:])
    for word in named:
        if word not in TIERS:
            raise DeployError(
                f"unknown tier {word}",
                hint=f"the tiers are {', '.join(TIERS)}",
                code=ExitCode.USAGE,
            )
    if not named and any("/" in word and not word.startswith("-") for word in arguments):
        return (), arguments
    return tuple(tier for tier in TIERS if tier in named or not named), arguments


def render_argv(tiers: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The arguments of the one pytest that runs these tiers, whatever the current folder is."""
    return [
        f"--rootdir={paths.REPO}",
        f"--config-file={paths.REPO / 'pyproject.toml'}",
        *(_spread() if tuple(tiers) == ("unit",) else ()),
        *(str(paths.REPO / "tests" / tier) for tier in tiers),
        *arguments,
    ]


def _spread() -> list[str]:
    # The other tiers share servers and machines among their tests: they stay in one process.
    number = min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
    if number == 1:
        return []
    return ["-p", "xdist.plugin", "--numprocesses", str(number), "--dist", "worksteal"]


def prepare(tiers: Sequence[str]) -> None:
    """Provide what the tiers need; asks for nothing that is already there.

    Raises:
        DeployError: A tier needs root, or a package that cannot be installed.
    """
    if "system" in tiers and os.geteuid() != 0:
        raise DeployError(
            "the system tests boot a machine of their own, which takes root",
            hint="run them with sudo, or the others alone: python3 build.py test unit integration",
            code=ExitCode.CONFIG,
        )
    if "system" in tiers:
        # The README says that, as root, the tests install what they need.
        host_packages.ensure_lab_packages(assume_yes=True)
    if "integration" not in tiers:
        return
    suite_programs.ensure_programs()
    # Here, where its progress is seen and no test's time runs out over a download.
    venv.ensure("audit")


def run_tiers(words: Sequence[str]) -> int:
    """Run the tiers and return the exit code; pytest's closing line is the last one printed.

    Runs pytest in this process, so that a Ctrl-C reaches it once and its fixtures clean up.

    Raises:
        DeployError: As `split` and `prepare`.
        KeyboardInterrupt: The tests were interrupted.
    """
    tiers, arguments = split(words)
    prepare(tiers)
    import pytest  # noqa: PLC0415 - lives in the environment of dev.lock only

    code = int(pytest.main(render_argv(tiers, arguments)))
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return code
