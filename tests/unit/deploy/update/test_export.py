"""Metrics of updates."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import database, update_state
from deploy.stack.update_state import Image, Refusal
from deploy.update import export
from todo.observability.update_metrics import RESULTS, parse_update

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def statements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    update_state.refuse(Refusal(Image("a", "sha256:a"), "it ended", (), "2026-11-30"))
    found: list[str] = []
    monkeypatch.setattr(database, "query", found.append)
    return found


def find_result(statements: list[str]) -> str:
    """Return the outcome that the backend parses from the last statement."""
    match = re.fullmatch(r"ALTER ROLE CURRENT_USER SET todo\.update = '(.*)'", statements[-1])
    assert match
    assert json.loads(match[1])["refused"] == 1
    state = parse_update(match[1])
    assert state
    return state.result


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (ExitCode.REFUSED, "refused"),
        (ExitCode.ROLLED_BACK, "rolled-back"),
        (ExitCode.NOT_ROLLED_BACK, "failed"),
        (ExitCode.UNAVAILABLE, "failed"),
    ],
)
def test_a_failure_is_exported_by_its_exit_code(
    statements: list[str], code: ExitCode, result: str
) -> None:
    message = "bad"
    with pytest.raises(DeployError, match="bad"), export.exported():
        raise DeployError(message, code=code)
    assert find_result(statements) == result


def test_a_success_is_exported(statements: list[str]) -> None:
    with export.exported():
        pass
    assert find_result(statements) == "updated"


def test_an_update_does_not_fail_for_its_metrics(
    statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_statement: str) -> str:
        message = "the container does not run"
        raise DeployError(message)

    monkeypatch.setattr(database, "query", fail)
    with export.exported():
        pass
    assert statements == []


def test_the_results_are_those_of_the_metrics() -> None:
    assert {*export.RESULTS.values(), export.UPDATED, export.FAILED} == {*RESULTS}
