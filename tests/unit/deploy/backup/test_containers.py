"""The containers of a restore: their command lines, and what their failures become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.backup import carried_files, containers
from deploy.backup.containers import Account
from deploy.errors import DeployError, ExitCode
from deploy.stack import data_volume
from deploy.units.loader import load_units

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = Account(10005, 10005, 10001, "todo_backup")
FOLDER = Path("/home/alice/backup")


class Podman:
    """Ends every program in the same way."""

    def __init__(self, code: int, stdout: str = "", stderr: str = "") -> None:
        self.ran: list[tuple[str, ...]] = []
        self._end = (code, stdout, stderr)

    def __call__(self, argv: Sequence[str], **_: object) -> process.Completed:
        self.ran.append(tuple(argv))
        return process.Completed(tuple(argv), *self._end)


def test_the_account_is_that_of_the_units() -> None:
    assert containers.find_account() == ACCOUNT


def test_a_container_is_as_hardened_as_the_units() -> None:
    argv = containers.render_run(ACCOUNT, "n", "image", ["/bin/x", "y"], mounts=["v:/v"])
    (unit,) = (each for each in load_units(backup=True) if each.name == "todo-drill-db.container")
    for key, switch in (
        ("Network", "--network={}"),
        ("DropCapability", "--cap-drop={}"),
        ("ReadOnly", "--read-only"),
        ("ReadOnlyTmpfs", "--read-only-tmpfs={}"),
        ("Tmpfs", "--tmpfs={}"),
        ("Mask", "--security-opt=mask={}"),
        ("Pull", "--pull={}"),
        ("PidsLimit", "--pids-limit={}"),
        ("GroupAdd", "--group-add={}"),
    ):
        assert switch.format(unit.get("Container", key).value) in argv, key
    assert {"--security-opt=no-new-privileges", "--user=10005:10005", "--volume=v:/v"} < set(argv)
    assert argv[-3:] == ["--entrypoint=/bin/x", "image", "y"]


def test_a_restore_mounts_the_backup_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    podman = Podman(0, "base=20261130T031500Z\nlast=2026-11-30 03:20:00+00\n")
    monkeypatch.setattr(process, "run", podman)
    found = containers.restore(ACCOUNT, "todo-data-1", FOLDER, ["--name", "here"])
    assert (found.base, found.last) == ("20261130T031500Z", "2026-11-30 03:20:00+00")
    (argv,) = podman.ran
    assert f"--volume={FOLDER}:/backup:ro,z" in argv
    assert "--volume=todo-data-1:/var/lib/postgresql:U" in argv
    assert argv[-4:] == ("/backup", "/var/lib/postgresql/data", "--name", "here")


@pytest.mark.parametrize(
    ("code", "expected", "hint"),
    [
        (65, ExitCode.DATA, "choose an earlier time with python3 build.py restore --to TIME"),
        (66, ExitCode.USAGE, "ls '/home/alice/my backup/base' lists the base backups; "),
        (69, ExitCode.UNAVAILABLE, "; python3 build.py restore --to-backup STAMP restores one"),
        (78, ExitCode.CONFIG, "python3 build.py upgrade-db, then the same command; of an older"),
        (125, ExitCode.FAILED, "docs/restore.md"),
    ],
)
def test_the_scripts_reason_becomes_one_line_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, code: int, expected: ExitCode, hint: str
) -> None:
    monkeypatch.setattr(process, "run", Podman(code, "", "restore: WAL file X is missing\n"))
    with pytest.raises(DeployError, match="nothing was restored: WAL file X is missing") as caught:
        containers.restore(ACCOUNT, "v", Path("/home/alice/my backup"), [])
    assert caught.value.code == expected
    assert hint in caught.value.hint


def test_findings_of_a_verification_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "todo.admin: error: 1 of 1 journals do not hold"
    podman = Podman(2, "'alice', entry 5: is missing\n", said)
    monkeypatch.setattr(process, "run", podman)
    found = containers.verify(ACCOUNT, "v", FOLDER, "20261130T031500Z")
    assert found == ["'alice', entry 5: is missing"]
    assert "--network=none" in podman.ran[0]


def test_a_verification_that_cannot_be_done_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", Podman(69, "", "todo.admin: error: no database\n"))
    with pytest.raises(DeployError, match="cannot be verified: no database"):
        containers.verify(ACCOUNT, "v", FOLDER, "20261130T031500Z")


def test_the_heads_of_the_base_backup_are_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "20261130T031500Z.heads").touch()
    podman = Podman(0)
    monkeypatch.setattr(process, "run", podman)
    assert containers.verify(ACCOUNT, "v", tmp_path, "20261130T031500Z") == []
    assert podman.ran[0][-2:] == ("--head", "/backup/base/20261130T031500Z.heads")


def test_values_of_a_query_are_variables_of_psql(monkeypatch: pytest.MonkeyPatch) -> None:
    podman = Podman(0, "[]\n")
    monkeypatch.setattr(process, "run", podman)
    values = {"run": "'; DROP TABLE task --"}
    assert containers.query("todo-db", "/run/todo", "postgres", "SELECT :'run'", values) == "[]"
    assert podman.ran[0][-1] == "--set=run='; DROP TABLE task --"


# -- What a backup carries besides the database ----------------------------------------------------


def test_only_drop_ins_of_the_user_are_brought_from_another_machine() -> None:
    files = "/backup/files/20261130T031500Z"
    home = f"{files}/units/home/bob/.config"
    own = f"{home}/containers/systemd/todo-backend.container.d/60-mine.conf"
    timer = f"{home}/systemd/user/todo-backup.timer.d/60-mine.conf"
    assert carried_files.find_dropins(
        [
            *(own, timer, f"{files}/token-secret", f"{files}/images.json"),
            f"{home}/containers/systemd/todo-backend.container",
            f"{home}/containers/systemd/{data_volume.DROPIN}",
            f"{home}/containers/systemd/todo-backend.container.d/30-instances.conf",
            f"{home}/containers/systemd/todo-wal.container.d/50-folder.conf",
            f"{home}/systemd/user/todo-backend.socket.d/50-port.conf",
        ]
    ) == [
        (own, "todo-backend.container.d/60-mine.conf"),
        (timer, "todo-backup.timer.d/60-mine.conf"),
    ]
