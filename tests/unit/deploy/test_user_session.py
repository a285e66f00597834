"""The way to the user's systemd where no login has prepared it: cron, sudo, su."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from deploy import process, user_session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that systemd keeps for this user, with a bus."""
    monkeypatch.setattr(user_session, "_FOLDERS", tmp_path)
    found = tmp_path / str(os.getuid())
    found.mkdir()
    (found / "bus").touch()
    return found


def test_where_nothing_is_set_both_variables_are_found(folder: Path) -> None:
    assert user_session.find_missing({}) == {
        "XDG_RUNTIME_DIR": str(folder),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
    }


def test_what_a_login_has_set_stays(folder: Path) -> None:
    login = {
        "XDG_RUNTIME_DIR": str(folder),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus,guid=1",
    }
    assert user_session.find_missing(login) == {}
    assert (
        user_session.find_missing({**login, "DBUS_SESSION_BUS_ADDRESS": "unix:path=/tmp/x"}) == {}
    )


def test_the_variables_of_the_user_who_called_sudo_are_replaced(folder: Path) -> None:
    other = folder.with_name("1234567")
    theirs = {
        "XDG_RUNTIME_DIR": str(other),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={other}/bus",
    }
    assert set(user_session.find_missing(theirs)) == set(theirs)
    ours = {**theirs, "XDG_RUNTIME_DIR": str(folder)}
    assert set(user_session.find_missing(ours)) == {"DBUS_SESSION_BUS_ADDRESS"}


def test_a_folder_that_was_chosen_on_purpose_stays(folder: Path, tmp_path: Path) -> None:
    assert folder.is_dir()
    assert user_session.find_missing({"XDG_RUNTIME_DIR": str(tmp_path)}) == {}


def test_without_a_user_manager_nothing_is_made_up(folder: Path) -> None:
    (folder / "bus").unlink()
    assert user_session.find_missing({}) == {"XDG_RUNTIME_DIR": str(folder)}
    folder.rmdir()
    assert user_session.find_missing({}) == {}


def test_every_program_gets_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)

    shown = process.run(["sh", "-c", "echo $XDG_RUNTIME_DIR $DBUS_SESSION_BUS_ADDRESS"]).stdout
    assert shown == f"{folder} unix:path={folder}/bus\n"
    assert "XDG_RUNTIME_DIR" not in os.environ
