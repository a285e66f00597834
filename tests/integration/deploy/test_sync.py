"""The environment of a developer, as CONTRIBUTING has it: a fresh checkout and no cache."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.paths import REPO
from tests.integration.deploy.checkout import copy_checkout

# Packages from an empty cache, which a slow network and a busy machine draw out.
pytestmark = pytest.mark.longer(1800)


class Developer:
    """A checkout, and commands typed in it."""

    def __init__(self, folder: Path) -> None:
        self.home, self.checkout, self.activate = folder / "home", folder / "checkout", ""
        self.home.mkdir()
        copy_checkout(self.checkout)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VIRTUAL_ENV", "PYTHON", "UV_", "XDG_", "COVERAGE_"))
        }
        programs = self.home / "bin"
        programs.mkdir()
        (programs / "uv").symlink_to(Path(sys.executable).with_name("uv"))
        path = f"{programs}:{sys.base_prefix}/bin:{kept['PATH']}"
        self._environment = {**kept, "HOME": str(self.home), "PATH": path}

    def run(self, commands: str) -> str:
        """Run commands in an activated environment, and return what they print."""
        done = subprocess.run(
            ["bash", "-euc", f"{self.activate}\n{commands}"],
            cwd=self.checkout,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def developer(tmp_path_factory: pytest.TempPathFactory) -> Developer:
    found = Developer(tmp_path_factory.mktemp("developer"))
    section = (REPO / "CONTRIBUTING.md").read_text().split("## Sync\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    found.run(block)
    found.activate = block.splitlines()[-1]
    return found


@pytest.mark.parametrize(
    ("commands", "shown"),
    [
        ("pytest -q tests/unit/todo/core", " passed"),
        ("ruff check --no-cache src/todo/core", "All checks passed!"),
        ("mypy --cache-dir=/dev/null src/deploy/errors.py", "Success"),
        ("lint-imports --no-cache", "0 broken"),
        ("cd / && python -c 'import deploy, todo; print(todo.__file__)'", "/checkout/src/todo/"),
    ],
)
def test_programs_work_without_settings(developer: Developer, commands: str, shown: str) -> None:
    assert shown in developer.run(commands)


def test_build_py_makes_no_second_environment(developer: Developer) -> None:
    developer.run("python3 build.py lock --check")

    assert list((developer.home / ".cache").glob("todo-backend/venv-*")) == []
