import ast

import pytest

from deploy import advice
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
    monkeypatch.delenv(advice.LAB, raising=False)
    if lab is not None:
        monkeypatch.setenv(advice.LAB, lab)
    assert advice.build("token alice") == build
    assert advice.shell("journalctl --user") == shell


def test_hints_name_programs_through_one_place() -> None:
    found = []
    for path in (REPO / "src/deploy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                found += [
                    f"{path.name}:{node.value.lineno}"
                    for part in ast.walk(node.value)
                    if isinstance(part, ast.Constant)
                    and str(part.value).startswith(("see journalctl", "see systemctl"))
                ]
    assert found == []
