"""Users that own a stack, and access to it from root."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

import pytest

from deploy import user_session
from deploy.paths import REPO
from deploy.stack import owners

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The homes of alice (who lingers), bob, carol (who is logged in) and root."""
    uids = {"root": 0, "alice": 1001, "bob": 1002, "carol": 1003}
    entries = {
        name: pwd.struct_passwd((name, "x", uid, uid, "", str(tmp_path / name), "/bin/sh"))
        for name, uid in uids.items()
    }
    by_uid = {entry.pw_uid: entry for entry in entries.values()}
    monkeypatch.setattr(pwd, "getpwnam", entries.__getitem__)
    monkeypatch.setattr(pwd, "getpwuid", by_uid.__getitem__)
    monkeypatch.setattr(owners, "_LINGERING", tmp_path / "linger")
    monkeypatch.setattr(user_session, "_FOLDERS", tmp_path / "run")
    monkeypatch.delenv("SUDO_USER", raising=False)
    for path in ("linger/alice", "linger/gone", "run/0", "run/1003", "run/77"):
        (tmp_path / path).mkdir(parents=True)
    return tmp_path


def install(home: Path) -> None:
    unit = home / ".config/systemd/user/todo-backend.socket"
    unit.parent.mkdir(parents=True)
    unit.touch()


def test_users_with_an_installed_stack_are_found(homes: Path) -> None:
    assert owners.find_owners() == []
    for name in ("root", "alice", "bob", "carol"):
        install(homes / name)
    assert owners.find_owners() == ["alice", "carol"]


def test_the_user_who_called_sudo_is_first(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("alice", "bob"):
        install(homes / name)
    monkeypatch.setenv("SUDO_USER", "bob")
    assert owners.find_owners() == ["bob", "alice"]
    monkeypatch.setenv("SUDO_USER", "gone")
    assert owners.find_owners() == ["alice"]


def test_the_hint_has_the_command_with_its_arguments() -> None:
    assert owners.render_hint("alice", ["logs", "--since=10 min ago"]) == (
        f"sudo -u alice python3 {REPO}/build.py logs '--since=10 min ago'; "
        "its units: systemctl --user -M alice@ status todo-backend"
    )
