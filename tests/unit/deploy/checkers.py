"""The checkers of the code, which run beside the tests: alone, either would leave a core idle."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy import venv
from deploy.paths import REPO

TOOLS = {
    "types": ["-m", "mypy"],
    "lint": ["-m", "ruff", "check", "--no-fix"],
    "format": ["-m", "ruff", "format", "--check"],
    "imports": ["-c", "from importlinter.cli import lint_imports_command as run; run()"],
}
# mypy's memory of this checkout, and one that a new checkout begins with: most of it is about the
# installed packages. mypy compares each file with what it remembers.
MEMORY = REPO / ".mypy_cache"
FIRST_MEMORY = venv.location("dev") / "mypy"


class Checkers:
    """All of them, side by side: started once, and each asked for its verdict."""

    def __init__(self) -> None:
        self._started: dict[str, subprocess.Popen[str]] = {}

    def start(self) -> None:
        if self._started:
            return
        copy_once(FIRST_MEMORY, MEMORY)
        environment = {**os.environ, "PYTHONPATH": "src", "MYPY_NUM_WORKERS": "2", "NO_COLOR": "1"}
        for name, arguments in TOOLS.items():
            self._started[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=REPO,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def find_objection(self, name: str) -> str:
        """Wait for a checker; return its command and what it says, nothing if it is content."""
        output, _ = self._started[name].communicate()
        if self._started[name].returncode == 0:
            if name == "types":
                copy_once(MEMORY, FIRST_MEMORY)
            return ""
        return f"python {' '.join(TOOLS[name])}\n{output}"

    def stop(self) -> None:
        """End those that nobody asked, because of an interrupt for instance."""
        for process in self._started.values():
            if process.poll() is None:
                process.kill()
                process.communicate()


def copy_once(source: Path, target: Path) -> None:
    """Copy a folder to where there is none yet, as a whole or not at all."""
    if target.exists() or not source.exists() or not target.parent.exists():
        return
    # Somebody else may have been faster, or may own the place: it only saves time.
    with (
        contextlib.suppress(OSError),
        tempfile.TemporaryDirectory(prefix=".mypy-", dir=target.parent) as scratch,
    ):
        shutil.copytree(source, Path(scratch) / "whole").rename(target)
