"""Rules that a program can check: lint, format, types, directions of imports, what is tracked."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.dev import checks, requirements
from deploy.paths import REPO

# In pieces, so that this file holds none of them itself.
INDEX_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("pypi", "python", "org"),
        ("download", "pytorch", "org"),
    )
]


def tracked() -> list[Path]:
    """Every file of the project: tracked, or new and not ignored."""
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(git, cwd=REPO, check=True, capture_output=True, text=True).stdout
    files = (REPO / name for name in listed.split("\0") if name)
    return [file for file in files if file.is_file() and not file.is_symlink()]


@pytest.mark.parametrize("name", checks.CHECKS)
def test_the_code_passes(name: str) -> None:
    problems = checks.find_problems(name)
    if problems:
        pytest.fail(problems, pytrace=False)


def test_a_misspelled_field_is_an_error(tmp_path: Path) -> None:
    """Each line misuses a type in one way."""
    misuses = {
        'task["titel"]': "typeddict-item",
        'task["priority"] = "urgent"': "typeddict-item",
        'task |= {"is_done": True}': "misc",
        'task["version"] += "1"': "operator",
        'renamed: TaskList = {**task_list, "title": "x"}': "typeddict-unknown-key",
        'share["access"] = "owner"': "typeddict-item",
        'changes: TaskChanges = {"completed": True}': "typeddict-unknown-key",
        'snapshot["title"]': "typeddict-item",
        "state.databases": "attr-defined",
    }
    code = [
        "from todo.app_state import AppState",
        "from todo.core.domain import Share, Snapshot, Task, TaskChanges, TaskList",
        "def misuse(task: Task, task_list: TaskList, share: Share, snapshot: Snapshot,",
        "    state: AppState) -> None:",
        *(f"    {line}" for line in misuses),
    ]
    (tmp_path / "misuses.py").write_text("\n".join(code))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--hide-error-context", tmp_path / "misuses.py"],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": "src", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"misuses\.py:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    lines = enumerate(misuses.values(), len(code) - len(misuses) + 1)
    assert {(int(line), code) for line, code in found} == set(lines), done.stdout + done.stderr


def test_the_locks_satisfy_the_project() -> None:
    assert requirements.check() == []


def test_no_file_names_a_package_index() -> None:
    # A lock with addresses would bypass the mirror, proxy and certificates of the installing
    # machine.
    pattern = re.compile("|".join(map(re.escape, INDEX_HOSTS)).encode())
    assert [str(file) for file in tracked() if pattern.search(file.read_bytes())] == []


def test_no_source_file_outgrows_four_hundred_lines() -> None:
    sizes = {
        str(file.relative_to(REPO)): len(file.read_text().splitlines())
        for file in tracked()
        if file.suffix == ".py" and "tests" not in file.parts
    }
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}


def test_no_module_is_named_after_its_shape() -> None:
    shapes = {"utils.py", "util.py", "common.py", "helpers.py", "helper.py", "misc.py", "base.py"}
    assert [str(file) for file in tracked() if file.name in shapes] == []


def test_nothing_is_called_build_beside_build_py() -> None:
    assert not (REPO / "build").exists()


def test_build_py_is_short_and_runs_on_a_python_without_packages() -> None:
    source = (REPO / "build.py").read_text()
    assert len(source.splitlines()) < 100
    imported = {
        name.split(".")[0]
        for node in ast.parse(source, feature_version=(3, 6)).body  # so that old ones say so
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_the_pipeline_runs_the_documented_test_command() -> None:
    assert "\nexec python3 build.py test\n" in (REPO / ".ci/run").read_text()
    assert "\npython3 build.py test " in (REPO / "docs/testing.md").read_text()


def test_the_workflow_runs_the_pipeline_with_pinned_actions() -> None:
    workflow = (REPO / ".github/workflows/ci.yml").read_text()
    used = re.findall(r"uses: (\S+)", workflow)

    assert "run: .ci/run\n" in workflow
    assert used
    assert all(re.fullmatch(r"[\w/.-]+@[0-9a-f]{40}", action) for action in used)


def test_the_commit_hooks_are_commands_of_build_py() -> None:
    config = yaml.safe_load((REPO / ".pre-commit-config.yaml").read_text())

    entries = [hook["entry"] for source in config["repos"] for hook in source["hooks"]]

    assert entries == ["python3 build.py format", "python3 build.py lint"]
