"""The scripts that complete commands and switches."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import paths
from deploy.cli import completion_script, listing
from deploy.cli.completion import collect


@pytest.fixture(scope="module")
def tree() -> completion_script.Tree:
    return collect()


@pytest.fixture(scope="module")
def script(tree: completion_script.Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "script"
    path.write_text(completion_script.render("bash", tree))
    return path


def press_tab(script: Path, line: str, env: dict[str, str] | None = None) -> list[str]:
    """Return bash's completions at the end of a line, from the script's function."""
    words = line.split(" ")
    program = """
        source "$1"; shift
        function_of() { set -- $(complete -p "$1"); while [[ $1 != -F ]]; do shift; done; echo $2; }
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        "$(function_of "$1")"
        printf "%s\\n" "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-uc", program, "bash", str(script), *words],
        cwd="/",
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("python3 build.py st", ["status"]),
        ("./build.py st", ["status"]),
        ("build.py ver", ["verify", "version"]),
        ("python3 ./build.py status --j", ["--json"]),
        ("python3 build.py lab ", ["up", "run", "shell", "down", "list"]),
        ("python3 build.py lab down --a", ["--all"]),
        ("python3 build.py --verbose lab up --pub", ["--publish"]),
        ("python3 build.py admin ex", ["export"]),
        ("python3 build.py admin --lab x verify --ex", ["--export-head"]),
        ("python3 build.py admin verify --la", ["--lab"]),
        ("python3 build.py completion ", ["bash", "zsh", "fish"]),
        ("python3 build.py logs -f ba", ["backend", "backup"]),
        ("python3 build.py help tok", ["token"]),
        # Left to the names of files.
        ("python3 build.py admin import ", []),
        ("python3 other.py st", []),
        ("python3 bu", []),
    ],
)
def test_bash_completes_commands_switches_and_values(
    script: Path, line: str, offered: list[str]
) -> None:
    assert press_tab(script, line) == offered


@pytest.mark.parametrize("line", ["./build.py st", "python3 build.py st"])
def test_the_documented_lines_for_bash_work_in_every_folder(tmp_path: Path, line: str) -> None:
    page = (paths.REPO / "docs/operate.md").read_text()
    (block,) = re.findall(r"^```sh\n([^`]*completion bash[^`]*)^```", page, re.MULTILINE)
    env = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(paths.cache_dir().parent),
    }
    subprocess.run(["bash", "-euc", block], cwd=paths.REPO, env=env, check=True)
    assert "build.py completion" not in (tmp_path / ".bashrc").read_text()
    assert press_tab(tmp_path / ".bashrc", line, env) == ["status"]


def test_every_command_and_switch_is_in_the_tree(tree: completion_script.Tree) -> None:
    assert set(tree[()].words) == set(listing.COMMANDS)
    assert all(text for found in tree.values() for text in found.words.values())
    assert "--port" in tree["up",].switches
    assert tree["admin", "revoke"].switches["--owner"] == "revoke all API tokens of this user"


@pytest.mark.parametrize("shell", completion_script.SHELLS)
def test_every_shell_has_a_script_with_all_of_it(shell: str, tree: completion_script.Tree) -> None:
    script = completion_script.render(shell, tree)
    for path, found in tree.items():
        assert " ".join(path) in script
        assert all(switch.removeprefix("--") in script for switch in found.switches)
