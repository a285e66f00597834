from pathlib import Path

import pytest

from deploy.dev import checks
from deploy.errors import DeployError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, in place of that of this Python."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    return tmp_path


def write_program(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_every_check_runs_and_the_reports_of_those_that_failed_are_shown(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(programs, "strict", "echo app.py:1 is wrong; exit 1")
    write_program(programs, "kind", "echo all is well")
    write_program(programs, "last", "echo app.py:2 too; exit 2")
    named = {"first": ("strict",), "second": ("kind",), "third": ("last",)}
    monkeypatch.setattr(checks, "CHECKS", named)

    with pytest.raises(DeployError, match="failed: first, third"):
        checks.lint()

    assert capsys.readouterr().out == "app.py:1 is wrong\napp.py:2 too\n"


def test_a_check_that_cannot_run_is_no_report_of_the_code(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "CHECKS", {"first": (f"absent-from-{programs.name}",)})

    with pytest.raises(DeployError, match="absent-from"):
        checks.lint()


def test_a_check_that_is_killed_has_not_passed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(programs, "large", "kill -KILL $$")
    monkeypatch.setattr(checks, "CHECKS", {"first": ("large",)})

    with pytest.raises(DeployError, match="large was ended by signal 9"):
        checks.lint()


def test_formatting_applies_safe_fixes_before_it_formats(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(programs, "ruff", 'echo "$@"')

    checks.format_code()

    assert capsys.readouterr().out == "check --fix-only\nformat\n"
