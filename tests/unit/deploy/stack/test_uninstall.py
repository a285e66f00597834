"""Refusals of an uninstallation, and its list of what remains."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from deploy import command_hints, paths, process
from deploy.cli.down import Down
from deploy.cli.uninstall import Uninstall
from deploy.errors import DeployError
from deploy.stack import backups, install, lifecycle, uninstall

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.cli.command import Command

VOLUME = json.dumps(
    [{"Name": "todo-data", "CreatedAt": "2025-11-29T09:00:00.123456789Z", "Mountpoint": "/v"}]
)


class Host:
    """A host that has the stack, noting what is run on it."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []

    def run(self, argv: list[str], **_: object) -> process.Completed:
        self.ran.append(argv)
        out = ""
        code = 0
        if argv[:3] == ["podman", "volume", "inspect"]:
            out, code = (VOLUME, 0) if argv[3] == "todo-data" else ("", 125)
        elif argv[:3] == ["podman", "unshare", "du"]:
            out = "47200000\t/v\n"
        elif argv[:2] == ["podman", "images"]:
            out = "localhost/todo-backend:latest\nlocalhost/todo-db:latest\n"
        return process.Completed(tuple(argv), code, out, "")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv(command_hints.LAB, raising=False)
    fake = Host()
    monkeypatch.setattr(process, "run", fake.run)
    monkeypatch.setattr(lifecycle, "LINGERING", tmp_path / "linger")
    install.install({"todo-backend.container": "[Container]\n"})
    return fake


def test_an_edited_unit_is_refused_before_anything_is_stopped(host: Host, tmp_path: Path) -> None:
    unit = tmp_path / "config/containers/systemd/todo-backend.container"
    unit.write_text("# edited\n")
    with pytest.raises(DeployError, match="was edited") as caught:
        uninstall.remove(volumes=True)
    assert f"mv {unit} {unit}.mine" in caught.value.hint
    assert host.ran == []
    assert unit.exists()


def test_the_volumes_are_made_again_by_the_next_start(host: Host) -> None:
    uninstall.remove(volumes=True)
    units = [f"{name}-volume.service" for name in lifecycle.VOLUMES]
    stop = host.ran.index(["systemctl", "--user", "stop", *units])
    assert stop < host.ran.index(["podman", "volume", "rm", "--force", "todo-data"])


def test_what_stays_is_named_with_the_command_that_removes_it(host: Host, tmp_path: Path) -> None:
    dropin = tmp_path / "config/containers/systemd/todo-backend.container.d/60-mine.conf"
    dropin.parent.mkdir()
    dropin.write_text("[Container]\n")
    (tmp_path / "linger").mkdir()
    uninstall.remove(volumes=False)
    assert not [argv for argv in host.ran if argv[1:3] == ["volume", "rm"]]
    commands = {kept.what: kept.command for kept in uninstall.find_kept()}
    (data,) = [what for what in commands if what.startswith("data: todo-data (47.2 MB, ")]
    assert commands[data] == "podman volume rm todo-data"
    assert commands["the key that signs tokens"] == "podman secret rm todo-token-secret"
    assert commands["your drop-ins"] == f"rm {dropin}"
    assert "localhost/todo-db:latest" in commands["2 images"]
    text = uninstall.render_kept(uninstall.find_kept())
    assert text.startswith("What stays, and the command that removes it:\n")
    assert "podman volume rm todo-data" in text


def test_the_configured_folder_of_backups_is_named_although_its_unit_goes(
    host: Host,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert host.ran == []
    monkeypatch.setattr("deploy.host.probe.why_not_here", lambda: None)
    monkeypatch.setattr(lifecycle, "stop", lambda: None)
    monkeypatch.setattr(backups, "stop", lambda: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folders = [tmp_path / "disk", tmp_path / "home/.local/share/todo-backend/backup"]
    for folder in folders:
        folder.mkdir(parents=True)
    units = backups.find_units(backups.Request(wanted=True, folder=folders[0]))
    install.install({**install.shipped(), **units})
    assert Uninstall.start(["build.py uninstall"]) == 0
    said = capsys.readouterr().out
    for folder in folders:
        assert f"backups in {folder}\n    podman unshare rm -r {folder}\n" in said


def test_the_folder_of_a_drop_in_that_stays_is_named_later_too(host: Host, tmp_path: Path) -> None:
    assert host.ran == []
    folder = tmp_path / "mine"
    folder.mkdir()
    dropin = install.destination("todo-backup.container.d/60-mine.conf")
    dropin.parent.mkdir(parents=True)
    dropin.write_text(f"[Container]\nVolume=\nVolume={folder}:/backup:z\n")
    assert f"backups in {folder}" in {one.what for one in uninstall.find_kept()}


def test_a_second_uninstallation_finds_nothing_to_remove(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.host.probe.why_not_here", lambda: None)
    assert Uninstall.start(["build.py uninstall"]) == 0
    assert "removed " in capsys.readouterr().out
    host.ran.clear()
    assert Uninstall.start(["build.py uninstall"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("nothing to remove: the stack is not installed\nWhat stays, ")
    assert not any(argv[0] == "systemctl" for argv in host.ran)


def test_data_that_an_uninstallation_left_can_be_removed_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.host.probe.why_not_here", lambda: None)
    uninstall.remove(volumes=False)
    assert Uninstall.start(["build.py uninstall", "--volumes", "--yes"]) == 0
    assert ["podman", "volume", "rm", "--force", "todo-data"] in host.ran


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (Uninstall, "nothing to remove: no lab default is up\n"),
        (Down, "nothing to stop: no lab default is up\n"),
    ],
)
def test_without_a_lab_there_is_nothing_to_remove_or_stop(
    host: Host,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: type[Command],
    said: str,
) -> None:
    monkeypatch.setattr("deploy.host.probe.why_not_here", lambda: "no systemd")
    monkeypatch.setattr("deploy.lab.manager.list_labs", list)
    assert name.start(["build.py"]) == 0
    assert capsys.readouterr().out == said
    assert host.ran == []


def test_commands_for_what_stays_in_a_lab_work_from_the_host(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host.ran == []
    (tmp_path / "linger").mkdir()
    paths.cache_dir().mkdir(parents=True)
    on_host = {one.what for one in uninstall.find_kept()}
    monkeypatch.setenv(command_hints.LAB, "second")
    kept = uninstall.find_kept()
    assert all(one.command.startswith("python3 build.py lab run second -- ") for one in kept)
    # Labs share the cache, and the lab made its user linger.
    assert "the cache of builds" in on_host - {one.what for one in kept}


def test_data_of_the_development_server_stays_apart_from_the_records(
    host: Host, tmp_path: Path
) -> None:
    assert host.ran == []
    state = tmp_path / "state/todo-backend"
    records = [state / "images", state / "published.json"]
    for folder in (state / "labs/default", state / "dev", records[0]):
        folder.mkdir(parents=True)
    (state / "dev/todo.db").write_bytes(b"x" * 4096)
    records[1].write_text("{}")
    for record in sorted(set(state.iterdir()) - {*records, state / "labs", state / "dev"}):
        record.unlink()
    kept = {one.what: one.command for one in uninstall.find_kept()}
    (data,) = [what for what in kept if "`build.py dev`: dev (" in what]
    assert data.endswith(", less than a minute old)")
    assert kept[data] == f"rm -r {state / 'dev'}"
    assert kept["the records of builds and pushes"] == f"rm -r {records[0]} {records[1]}"


def test_no_command_removes_a_folder_that_also_holds_data_or_labs(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert host.ran == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "state"))
    state = tmp_path / "state/todo-backend"
    for folder in ("labs/default", "dev", "venv-build-0"):
        (state / folder).mkdir(parents=True)
    (state / "dev/todo.db").write_bytes(b"x" * 4096)
    removed = [word for one in uninstall.find_kept() for word in one.command.split()]
    assert str(state / "venv-build-0") in removed
    assert not {str(state), str(state / "labs")} & set(removed)


def test_age_of_a_volume_is_that_of_its_creation() -> None:
    assert uninstall.parse_volume(VOLUME, 1).created_at == pytest.approx(1764406800.1, abs=0.1)
    assert time.time() > uninstall.parse_volume(VOLUME, 1).created_at
