import ast
import re
from typing import TypeGuard

import pytest

from deploy import command_hints
from deploy.paths import REPO


@pytest.mark.parametrize(
    ("lab", "build", "shell"),
    [
        (None, "python3 build.py token alice", "journalctl --user"),
        (
            "default",
            "python3 build.py token alice",
            "python3 build.py lab run -- journalctl --user",
        ),
        (
            "second",
            "python3 build.py token alice --lab second",
            "python3 build.py lab run second -- journalctl --user",
        ),
    ],
)
def test_commands_are_those_of_the_reader(
    monkeypatch: pytest.MonkeyPatch, lab: str | None, build: str, shell: str
) -> None:
    monkeypatch.delenv(command_hints.LAB, raising=False)
    if lab is not None:
        monkeypatch.setenv(command_hints.LAB, lab)
    assert command_hints.build("token alice") == build
    assert command_hints.shell("journalctl --user") == shell


ON_THE_HOST = ("cli/", "lab/", "registry/push.py", "dev/suite.py", "stack/in_lab.py")
"""What never runs inside a lab."""
COMMANDS = re.compile(
    r"journalctl|systemctl|podman "
    r"|python3 build\.py (up|down|status|restart|token|scan|image|uninstall)"
)


def test_hints_of_what_runs_in_a_lab_are_commands_of_the_host() -> None:
    root = REPO / "src/deploy"
    found = []
    for path in root.rglob("*.py"):
        if str(path.relative_to(root)).startswith(ON_THE_HOST):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if is_hint(node):
                found += [f"{path.name}: {text}" for text in bare_texts(node.value)]
    assert found == []


def is_hint(node: ast.AST) -> TypeGuard[ast.keyword | ast.Assign]:
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "hint"
    return isinstance(node, ast.keyword) and node.arg == "hint"


def bare_texts(hint: ast.expr) -> list[str]:
    """The commands in a hint that did not go through `command_hints`."""
    if isinstance(hint, ast.Call) and ast.unparse(hint.func).startswith("command_hints."):
        return []
    if isinstance(hint, ast.Constant) and COMMANDS.search(str(hint.value)):
        return [str(hint.value)]
    children = (child for child in ast.iter_child_nodes(hint) if isinstance(child, ast.expr))
    return [text for child in children for text in bare_texts(child)]
