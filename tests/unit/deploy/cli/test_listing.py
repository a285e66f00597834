"""Output of `build.py` before its environment exists."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.paths import REPO

TIMEOUT_S = 120.0
"""An answer takes a tenth of a second: this only ends one that never comes."""


def run_bare(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run build.py without any package, and with a cache where no environment can be made."""
    cache.write_text("not a folder")
    return subprocess.run(
        [sys.executable, "-S", str(REPO / "build.py"), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(cache.parent), "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("statsu", "unknown command statsu — did you mean status?"),
        ("--verbose zzz --json", "unknown command zzz — see: python3 build.py --help"),
        ("help stauts", "unknown command stauts — did you mean status?"),
        ("test unti", "unknown test tier unti — the tiers are unit, integration, system, faults"),
        (
            "test unit sytem -- -x",
            "unknown test tier sytem — the tiers are unit, integration, system, faults",
        ),
    ],
)
def test_an_unknown_command_or_tier_is_refused_before_an_environment_is_made(
    tmp_path: Path, words: str, error: str
) -> None:
    done = run_bare(tmp_path / "cache", *words.split())

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"build.py: error: {error}\n"


@pytest.mark.parametrize("words", ["help", "--help", "-h", "version", "--version"])
def test_help_and_version_need_no_environment(tmp_path: Path, words: str) -> None:
    done = run_bare(tmp_path / "cache", words)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(("Build, run and test", "build.py 0."))
