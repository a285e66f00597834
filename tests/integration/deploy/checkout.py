"""A copy of this checkout, as somebody gets who clones it."""

import shutil
import subprocess
from pathlib import Path

from deploy.paths import REPO


def copy_checkout(folder: Path) -> None:
    """Copy what this checkout has, committed or not, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPO, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (REPO / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, folder / name)
