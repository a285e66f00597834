"""Restores and drills of the real stack: the units, the volumes, and a machine without its data."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.stack_in_lab import Stack

FOLDER = ".local/share/todo-backend/backup"
TASKS = "/api/v1/tasks"
# What names another volume than the first one.
DROPIN = ".config/containers/systemd/todo-data.volume.d/50-restored.conf"
# Killed as soon as there is a new volume, which is before anything is restored into it.
KILLED_RESTORE = """
count() { podman volume ls --quiet --filter=name=^todo-data | wc -l; }
before=$(count)
setsid python3 /srv/todo-backend/build.py restore --no-lab &
until [ "$(count)" -gt "$before" ]; do sleep 0.1; done
kill -KILL -- -$!
wait $! || :
"""


@pytest.fixture(scope="module")
def with_backups(installed: Stack) -> Iterator[Stack]:
    """The stack with backups; the plain stack on its first volume again afterwards."""
    print(installed.up("--backup").stdout)  # noqa: T201  # shown with a failure
    yield installed
    there = installed.podman("volume", "exists", "todo-data", check=False).returncode == 0
    if there and installed.lab.run(["test", "-e", DROPIN], check=False).returncode == 0:
        installed.build("restore", "--to-volume=todo-data", "--no-lab")
    installed.up("--no-backup")
    installed.podman("unshare", "rm", "-rf", FOLDER)


@pytest.fixture
def backed(with_backups: Stack) -> Stack:
    """The stack with a base backup of its present volume, up and receiving."""
    with_backups.systemctl("reset-failed", check=False)
    with_backups.systemctl("start", "todo-db", "todo-backend", "todo-wal")
    with_backups.wait_ready()
    wait_until(lambda: is_received(with_backups), 600, "WAL arrives")
    with_backups.build("backup", "--no-lab")
    return with_backups


def is_received(stack: Stack) -> bool:
    shown = json.loads(stack.build("status", "--json", "--no-lab", check=False).stdout)
    wal = shown["backup"]["wal"]
    return bool(wal and wal["receiving"])


def find_drill(stack: Stack) -> dict[str, Any]:
    recorded = json.loads(stack.lab.run(["cat", f"{FOLDER}/state.json"]).stdout)["drill"]
    assert isinstance(recorded, dict)
    return recorded


def add(stack: Stack, user: str, title: str, run: str = "") -> None:
    headers = {"X-Run-Id": run} if run else {}
    with stack.client(user) as client:
        client.post(TASKS, json={"title": title}, headers=headers).raise_for_status()


def find_titles(stack: Stack, user: str) -> set[str]:
    with stack.client(user) as client:
        return {task["title"] for task in client.get(TASKS).json()["items"]}


def find_volume(stack: Stack) -> str:
    mounts = stack.inspect("todo-db")["Mounts"]
    (name,) = (m["Name"] for m in mounts if m["Destination"] == "/var/lib/postgresql")
    return str(name)


def remove_wal(stack: Stack, name: str) -> None:
    stack.podman("unshare", "rm", f"{FOLDER}/wal/{name}")


def find_wal(stack: Stack) -> list[str]:
    return stack.podman("unshare", "ls", f"{FOLDER}/wal").stdout.split()


def query(stack: Stack, statement: str) -> str:
    psql = ("psql", "--host=/run/todo", "--username=postgres", "--dbname=todo", "--no-psqlrc")
    run = ("exec", "todo-db", *psql, "--tuples-only", "--no-align", f"--command={statement}")
    return stack.podman(*run).stdout.strip()


def test_a_drill_proves_the_backup_and_leaves_nothing(backed: Stack) -> None:
    add(backed, "drew", "in the WAL")
    shown = backed.build("drill", "--no-lab").stdout
    assert re.fullmatch(
        r"the backup is complete: \d+ rows restored and verified in [0-9.]+ s \(RTO\), "
        r"0 s of changes lost \(RPO\)\n",
        shown,
    )
    assert find_drill(backed)["ok"] is True
    roles = "SELECT array_to_string(rolconfig, ' ') FROM pg_roles WHERE rolname = 'todo_backup'"
    assert "todo.drill=" in query(backed, roles)
    wait_until(lambda: backed.show("todo-drill-db", "ActiveState") == "inactive", 300, "stopped")
    left = backed.podman("volume", "inspect", "--format={{.Mountpoint}}", "todo-drill").stdout
    names = backed.podman("unshare", "ls", left.strip()).stdout.split()
    assert set(names) <= {"began", "restored"}
    assert backed.show("todo-drill.timer", "UnitFileState") == "enabled"


def test_status_reads_a_container_that_has_no_health_check(backed: Stack) -> None:
    backed.podman("create", "--replace", "--name=todo-backup", "localhost/todo-db:latest", "true")
    try:
        shown = json.loads(backed.build("status", "--json", "--no-lab", check=False).stdout)
    finally:
        backed.podman("rm", "--force", "todo-backup")
    assert shown["unknown"] == {}
    assert {unit["unit"] for unit in shown["units"] if unit["image"]} >= {"todo-backup.service"}


def test_a_drill_names_a_wal_file_that_is_missing(backed: Stack) -> None:
    add(backed, "drew", "before")
    missing = query(backed, "SELECT pg_walfile_name(pg_switch_wal())")
    add(backed, "drew", "after")
    wait_until(lambda: missing in find_wal(backed), 600, "the file arrives")
    remove_wal(backed, missing)
    failed = backed.build("drill", "--no-lab", check=False)
    assert failed.returncode == 65
    assert f"WAL file {missing} is missing in the backup" in failed.stderr
    assert find_drill(backed)["ok"] is False
    refused = backed.build("restore", "--no-lab", check=False)
    assert refused.returncode == 65
    assert f"nothing was restored: WAL file {missing} is missing in the backup" in refused.stderr
    # The stack serves as before.
    backed.wait_ready()
    assert find_titles(backed, "drew") >= {"before", "after"}


def test_the_moment_before_a_run_is_restored_and_the_former_data_stays(backed: Stack) -> None:
    former = find_volume(backed)
    add(backed, "rosa", "by a person")
    add(backed, "rosa", "by an agent", run="nightly-3")
    add(backed, "rosa", "afterwards")
    shown = backed.build("restore", "--before=nightly-3", "--no-lab").stdout
    volume = find_volume(backed)
    assert f"into the volume {volume}\n" in shown
    assert f"the former data is in the volume {former}" in shown
    assert volume != former
    backed.wait_ready()
    assert find_titles(backed, "rosa") == {"by a person"}
    # `up` keeps it.
    backed.up()
    assert find_volume(backed) == volume
    wait_until(lambda: is_received(backed), 600, "WAL of the restored database arrives")
    backed.build("restore", f"--to-volume={former}", "--no-lab")
    assert find_volume(backed) == former
    assert find_titles(backed, "rosa") == {"by a person", "by an agent", "afterwards"}
    # Again, it would set the backups of the present volume aside.
    refused = backed.build("restore", f"--to-volume={former}", "--no-lab", check=False)
    assert refused.returncode == 2
    assert f"the stack already uses the volume {former}" in refused.stderr


def test_a_restore_that_was_killed_is_finished_by_the_same_command(backed: Stack) -> None:
    add(backed, "kim", "kept")
    volumes = find_volumes(backed)
    backed.lab.run(["bash", "-c", KILLED_RESTORE], timeout_s=3600)
    (unfinished,) = find_volumes(backed) - volumes
    backed.build("restore", "--no-lab")
    backed.wait_ready()
    assert find_titles(backed, "kim") == {"kept"}
    assert find_volume(backed) == unfinished or unfinished not in find_volumes(backed)
    assert find_volumes(backed) == {*volumes, find_volume(backed)}


def find_volumes(stack: Stack) -> set[str]:
    listing = ("volume", "ls", "--filter=name=^todo-data", "--format={{.Name}}")
    return set(stack.podman(*listing).stdout.split())


def test_a_machine_without_data_and_secret_restores_from_the_folder(backed: Stack) -> None:
    add(backed, "zoe", "on the other machine")
    token = backed.token("zoe")
    backed.build("down", "--no-lab")
    copy = "copy-of-backup"
    backed.podman("unshare", "cp", "-a", FOLDER, copy)
    backed.build("uninstall", "--volumes", "--yes", "--no-lab")
    try:
        # As a copy by another account would be.
        backed.podman("unshare", "chown", "-R", "0:0", copy)
        shown = backed.build("restore", f"--from={copy}", "--no-lab").stdout
        assert "restored the end of the backup" in shown
        backed.wait_ready()
        assert find_titles(backed, "zoe") == {"on the other machine"}
        with backed.client("zoe") as client:
            client.headers["Authorization"] = f"Bearer {token}"
            assert client.get(TASKS).status_code == 200
    finally:
        backed.podman("unshare", "rm", "-rf", copy)
        backed.up("--backup")
