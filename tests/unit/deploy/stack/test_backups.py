"""Backups as a part of the stack: which units they add, their folder, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import process
from deploy.cli.up import Up
from deploy.errors import DeployError, ExitCode
from deploy.image import build
from deploy.stack import backups, images, install, lifecycle, local_model, systemd, up
from deploy.stack.backups import UNCHANGED, Request
from deploy.stack.images import ImageStatus
from deploy.stack.services import (
    BACKUP,
    BACKUP_TIMER,
    DRILL,
    DRILL_DB,
    SERVICES,
    WAL,
    find_services,
)
from deploy.units.loader import BACKUP_UNITS
from tests.unit.deploy.stack.willing_host import Host

DISK = Path("/mnt/disk/todo")


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A user for whom nothing is installed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    host = Host()
    monkeypatch.setattr(process, "run", host.run)
    monkeypatch.setattr(images, "find", lambda: (ImageStatus("localhost/todo-db", (), id="ab"),))
    return host


def install_with(request: Request) -> set[str]:
    return install.install({**install.shipped(), **backups.find_units(request)})


# -- What is installed ----------------------------------------------------------------------------


def test_a_stack_without_backups_has_none_of_their_units() -> None:
    assert install.shipped().keys().isdisjoint(BACKUP_UNITS)
    install_with(UNCHANGED)
    assert find_services() == SERVICES


def test_backups_stay_until_they_are_not_wanted_any_more() -> None:
    install_with(Request(wanted=True, folder=DISK))
    assert find_services() == (*SERVICES, WAL, BACKUP, DRILL_DB, DRILL)
    assert install_with(UNCHANGED) == set()
    assert install_with(Request(wanted=True)) == set()
    assert backups.find_folder() == DISK

    removed = install_with(Request(wanted=False))

    assert removed == {*BACKUP_UNITS, "50-folder.conf"}
    assert find_services() == SERVICES
    assert not install.destination("todo-wal.container.d").exists()


def test_the_local_model_and_backups_can_both_be_installed() -> None:
    units = local_model.find_units(local_model.Request(wanted=True))
    install.install({**units, **backups.find_units(Request(wanted=True))})
    assert len(find_services()) == len(SERVICES) + 5


# -- The folder -----------------------------------------------------------------------------------


def test_the_folder_is_in_the_users_home_unless_another_one_is_named(tmp_path: Path) -> None:
    install_with(Request(wanted=True))
    assert backups.find_folder() == tmp_path / ".local/share/todo-backend/backup"
    assert backups.find_folder() == backups.default_folder()


def test_a_drop_in_of_the_user_decides_about_the_folder() -> None:
    install_with(Request(wanted=True))
    dropin = install.destination("todo-backup.container.d/60-mine.conf")
    dropin.parent.mkdir(parents=True)
    unit = install.shipped(backup=True)["todo-backup.container"]
    dropin.write_text(backups.render_dropin(DISK, unit))
    assert backups.find_folder() == DISK
    dropin.write_text("[Container]\nVolume=\n")
    with pytest.raises(DeployError, match="mounts no folder at /backup"):
        backups.find_folder()


def test_another_folder_leaves_the_other_mounts_of_a_container() -> None:
    shipped = install.shipped(backup=True)
    for container in backups.CONTAINERS:
        mounts = [line for line in shipped[container].splitlines() if line.startswith("Volume=")]
        text = backups.render_dropin(DISK, shipped[container])
        changed = [line for line in text.splitlines() if line.startswith("Volume=")]
        home = f"%h/{backups.default_folder().relative_to(Path.home())}"
        assert changed == ["Volume=", *(line.replace(home, str(DISK)) for line in mounts)]
        assert sum(str(DISK) in line for line in changed) == 1


def test_the_folder_is_for_the_user_and_the_account_of_backups(tmp_path: Path, host: Host) -> None:
    install_with(Request(wanted=True))
    backups.make_folder()
    folder = backups.find_folder()
    assert folder.stat().st_mode & 0o777 == 0o770
    assert host.find("unshare") == [["podman", "unshare", "chown", "0:10005", str(folder)]]
    blocked = tmp_path / "file"
    blocked.write_text("")
    install_with(Request(wanted=True, folder=blocked / "below"))
    with pytest.raises(DeployError, match=": Not a directory"):
        backups.make_folder()


@pytest.mark.parametrize("path", ["/mnt/my disk", "/mnt/a:b", "/mnt/50%", "/mnt/$HOME"])
def test_a_folder_that_a_unit_cannot_name_is_refused(path: str) -> None:
    with pytest.raises(DeployError, match="has characters that a unit cannot contain") as caught:
        backups.check_folder(Path(path))
    assert caught.value.code == ExitCode.USAGE


def test_the_settings_of_the_stack_are_written_for_the_next_backup(tmp_path: Path) -> None:
    install_with(Request(wanted=True))
    dropin = install.destination("todo-backend.container.d/60-mine.conf")
    dropin.parent.mkdir(parents=True)
    dropin.write_text("[Service]\n")
    record = build.record_dir() / "todo-db.packages.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    backups.make_folder()
    for _ in range(2):
        backups.save_settings()

    settings = backups.find_folder() / "settings"
    units = settings / "units" / dropin.relative_to(dropin.anchor)
    assert units.read_text() == "[Service]\n"
    assert (units.parents[1] / "todo-db.container").exists()
    assert (settings / "packages" / record.name).exists()
    (image,) = json.loads((settings / "images.json").read_text())
    assert (image["name"], image["id"]) == ("localhost/todo-db", "ab")
    assert {path.name for path in backups.find_folder().iterdir()} == {"settings"}
    assert tmp_path in settings.parents


# -- Start and stop -------------------------------------------------------------------------------


def test_an_install_without_backups_stops_them_and_drops_their_slot(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "build", lambda *_, **__: [])
    monkeypatch.setattr(lifecycle, "LINGERING", tmp_path)
    monkeypatch.setattr(systemd, "is_active", lambda unit: unit == "todo-db.service")
    up.install(build.Options(), backup=Request(wanted=True))
    assert not host.find("exec")
    host.ran.clear()

    up.install(build.Options())
    assert not host.find("exec")
    assert not host.find("disable")

    up.install(build.Options(), backup=Request(wanted=False))
    assert host.find("disable", BACKUP_TIMER)
    assert host.find("stop", BACKUP, WAL)
    (drop,) = host.find("exec", "todo-db")
    assert "pg_drop_replication_slot(slot_name)" in drop[-2]


def test_a_slot_of_a_database_that_is_down_stays(
    host: Host, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(systemd, "is_active", lambda _: False)
    backups.remove_from_database()
    assert not host.find("exec")
    assert "keeps WAL for the receiver, 1 GB at most, until" in capfd.readouterr().err


def test_without_backups_the_command_says_how_to_get_them() -> None:
    with pytest.raises(DeployError, match="backups are not set up in this stack") as caught:
        backups.find_folder()
    assert caught.value.code == ExitCode.CONFIG
    assert "up --backup" in caught.value.hint


# -- Switches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backup", "--no-backup"], "--backup and --no-backup are mutually exclusive"),
        (["--backup-folder", "/mnt"], "--backup-folder requires --backup"),
        (["--no-backup", "--backup-folder", "/mnt"], "--backup-folder requires --backup"),
    ],
)
def test_switches_that_do_not_go_together_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(DeployError, match=message) as caught:
        Up.start(["build.py up", *words])
    assert caught.value.code == ExitCode.USAGE
