"""The scripts that complete commands and switches, in the shells that the unit tests do without."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from deploy.cli import completion_script
from deploy.cli.completion import collect
from deploy.dev import suite_programs
from tests.machine_clock import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = {
    "python3 build.py stat": ["status"],
    "./build.py ver": ["verify", "version"],
    "python3 build.py lab down --a": ["--all"],
    "python3 build.py --verbose lab up --pub": ["--publish"],
    "python3 build.py admin verify --ex": ["--export-head"],
    "python3 build.py completion z": ["zsh"],
    "python3 other.py stat": [],
}
_RUN_COMMANDS = """
[[ -z $ZSH_MODULES ]] || { module_path=(${(s.:.)ZSH_MODULES}); fpath=(${(s.:.)ZSH_FUNCTIONS}) }
zmodload zsh/zle
setopt zle no_beep
. ./script
note() { print -r -- "$BUFFER" > line.new; mv line.new line; BUFFER= }
zle -N note
bindkey '^X' note
bindkey '^I' complete-word
: > ready
"""


@pytest.fixture(scope="module")
def tree() -> completion_script.Tree:
    return collect()


def find(name: str) -> Path:
    found = suite_programs.find_shell(name)
    assert found is not None, f"no {name} here: python3 build.py test integration fetches it"
    return found


def environment(shell: Path, home: Path) -> dict[str, str]:
    """Environment of a login shell without any settings."""
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        **suite_programs.shell_environment(shell),
    }


@pytest.mark.parametrize("line", LINES)
def test_fish_completes(tree: completion_script.Tree, tmp_path: Path, line: str) -> None:
    fish = find("fish")
    (tmp_path / "script").write_text(completion_script.render("fish", tree))
    done = subprocess.run(
        [fish, "--no-config", "-c", "source script; complete --do-complete $argv[1]", line],
        cwd=tmp_path,
        env=environment(fish, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    offered = [each.partition("\t")[0] for each in done.stdout.splitlines()]
    assert offered == LINES[line]


def wait_for(file: Path, keyboard: int) -> None:
    """Wait until the shell has written a file; what it shows is read, so that it can continue."""

    def is_there() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(keyboard, 1 << 16)
        return file.exists()

    wait_until(is_there, f"a file {file.name} of zsh", within_s=120)


@contextlib.contextmanager
def typing(zsh: Path, folder: Path) -> Iterator[int]:
    """An interactive zsh in a folder; gives the terminal to type on."""
    (folder / ".zshrc").write_text(_RUN_COMMANDS)
    (folder / ".zshenv").write_text("setopt no_global_rcs\n")
    keyboard, terminal = os.openpty()
    try:
        with subprocess.Popen(
            [zsh, "-i"],
            cwd=folder,
            env=environment(zsh, folder),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        ) as process:
            os.close(terminal)
            try:
                os.set_blocking(keyboard, False)
                wait_for(folder / "ready", keyboard)
                yield keyboard
            finally:
                process.kill()
    finally:
        os.close(keyboard)


@pytest.mark.parametrize("line", [line for line in LINES if len(LINES[line]) < 2])
def test_zsh_completes(tree: completion_script.Tree, tmp_path: Path, line: str) -> None:
    (tmp_path / "script").write_text(completion_script.render("zsh", tree))
    with typing(find("zsh"), tmp_path) as keyboard:
        os.write(keyboard, f"{line}\t\x18".encode())
        wait_for(tmp_path / "line", keyboard)
    start, _, word = line.rpartition(" ")
    (completed,) = LINES[line] or [word]
    assert (tmp_path / "line").read_text().strip() == f"{start} {completed}"
