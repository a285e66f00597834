"""The optional parts of the stack, which `down` stops as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.cli.restart import Restart
from deploy.stack import backups, lifecycle, local_model, up, update_timer
from deploy.update import begin

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The calls, in order."""
    ran: list[str] = []
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(Restart, "elsewhere", lambda _self, _name: None)
    monkeypatch.setattr(begin, "recover", lambda: ran.append("recover"))
    monkeypatch.setattr(lifecycle, "reload", lambda _step: set())
    monkeypatch.setattr(lifecycle, "start", lambda _prepared: ran.append("stack"))
    monkeypatch.setattr(lifecycle, "restart", lambda: ran.append("stack"))
    monkeypatch.setattr(local_model, "start", lambda: ran.append("model"))
    monkeypatch.setattr(backups, "start", lambda: ran.append("backups"))
    monkeypatch.setattr(
        update_timer, "set_wanted", lambda *, wanted, starts: ran.append(f"{wanted} {starts}")
    )
    return ran


@pytest.mark.parametrize(
    ("has_ai", "has_backups", "optional"),
    [(True, True, ["model", "backups"]), (False, True, ["backups"]), (False, False, [])],
)
def test_a_restart_starts_the_optional_parts_that_are_installed(
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_ai: bool,
    has_backups: bool,
    optional: list[str],
) -> None:
    monkeypatch.setattr(up, "has_ai", lambda: has_ai)
    monkeypatch.setattr(up, "has_backups", lambda: has_backups)
    assert Restart("build.py restart").main() == 0
    assert ran == ["recover", "stack", *optional, "None True"]
    ran.clear()
    up.start()
    assert ran == ["stack", *optional, "None True"]
