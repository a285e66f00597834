"""Backups: installed by `up --backup`, made by timer and command, and taken out again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.process import Completed
    from tests.system.stack_in_lab import Stack

FOLDER = ".local/share/todo-backend/backup"
DB = "localhost/todo-db:latest"
SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'todo_wal'"
OUTCOMES = (
    "SELECT count(*) FROM pg_roles, unnest(rolconfig) AS option"
    " WHERE option LIKE 'todo.backup%' OR option LIKE 'todo.drill%'"
)


@pytest.fixture(scope="module")
def with_backups(installed: Stack) -> Iterator[Stack]:
    """The stack with backups, as `up --backup` makes it; the plain stack again afterwards."""
    print(installed.up("--backup").stdout)  # noqa: T201  # shown with a failure
    yield installed
    installed.up("--no-backup")
    installed.podman("unshare", "rm", "-rf", FOLDER)


@pytest.fixture
def backed(with_backups: Stack) -> Stack:
    """The stack with backups, up and receiving, whatever the test before did."""
    with_backups.systemctl("reset-failed", check=False)
    with_backups.systemctl("start", "todo-db", "todo-backend", "todo-wal", "todo-backup.timer")
    with_backups.wait_ready()
    wait_until(lambda: is_received(with_backups), 600, "WAL arrives")
    return with_backups


def find(stack: Stack) -> dict[str, Any]:
    shown = json.loads(stack.build("status", "--json", "--no-lab", check=False).stdout)
    assert shown["unknown"] == {}
    found = shown["backup"]
    assert isinstance(found, dict)
    return found


def is_received(stack: Stack) -> bool:
    wal = find(stack)["wal"]
    return bool(wal and wal["receiving"])


def query(stack: Stack, statement: str) -> str:
    where = ("--host=/run/todo", "--username=postgres", "--dbname=todo")
    psql = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", *where)
    return stack.podman("exec", "todo-db", *psql, f"--command={statement}").stdout.strip()


def connect_as(stack: Stack, uid: int, role: str) -> Completed:
    """Connect to the database in a role, from a container with this account."""
    account = (f"--user={uid}:{uid}", "--group-add=10001", "--network=none")
    mount = "--volume=todo-socket:/run/todo:ro"
    psql = ("-h", "/run/todo", "-U", role, "-d", "todo", "-c", "SELECT 1")
    run = ("run", "--rm", "--read-only", *account, mount, "--entrypoint=psql", DB, *psql)
    return stack.podman(*run, check=False)


def test_one_command_makes_a_verified_backup_and_status_shows_it(backed: Stack) -> None:
    made = backed.build("backup", "--no-lab").stdout
    assert re.fullmatch(r"\d{8}T\d{6}Z: [0-9.]+ MB in \d+ s, verified\n", made)
    found = find(backed)
    assert found["newest"] == made.partition(":")[0]
    assert 0 <= found["age_seconds"] < 3600
    assert (found["last"]["ok"], found["wal"]["kept"]) == (True, "reserved")
    shown = backed.build("status", "--no-lab").stdout
    assert re.search(r"^backup .* ago, \d+ MiB, ", shown, re.MULTILINE)
    assert re.search(r"^WAL +received, [0-9.]+ MiB behind$", shown, re.MULTILINE)
    verify = ("run", "--rm", "--network=none", "--user=10005:10005")
    program = (f"--volume=./{FOLDER}:/backup:ro", "--entrypoint=pg_verifybackup", DB)
    backed.podman(*verify, *program, f"/backup/base/{found['newest']}")


def test_the_backup_has_secret_settings_and_dump(backed: Stack) -> None:
    with backed.drop_in("todo-backend.container", "[Container]\nEnvironment=TODO_LOG_LEVEL=info\n"):
        stamp = backed.build("backup", "--no-lab").stdout.partition(":")[0]
    files = backed.podman("unshare", "find", f"{FOLDER}/files/{stamp}", "-type", "f").stdout
    names = {path.rpartition("/")[2] for path in files.splitlines()}
    assert {"token-secret", "90-test.conf", "todo-db.container", "images.json"} <= names
    secret = backed.podman(
        *("secret", "inspect", "--showsecret", "--format={{.SecretData}}", "todo-token-secret")
    ).stdout.strip()
    kept = backed.podman("unshare", "cat", f"{FOLDER}/files/{stamp}/token-secret").stdout
    assert kept.strip() == secret
    assert backed.lab.run(["ls", f"{FOLDER}/dump"]).stdout.strip().endswith(".dump")


def test_nobody_but_the_user_gets_into_the_folder(backed: Stack) -> None:
    backed.build("backup", "--no-lab")
    shown = backed.lab.run(["stat", "--format=%a %U", FOLDER]).stdout.split()
    assert shown == ["770", "todo"]
    stamp = find(backed)["newest"]
    mode = backed.podman("unshare", "stat", "--format=%a", f"{FOLDER}/base/{stamp}").stdout
    assert mode.strip() == "700"
    backed.lab.run(["cat", f"{FOLDER}/state.json", f"{FOLDER}/base/{stamp}.json"])


def test_the_receiver_has_no_network_and_no_privilege(backed: Stack) -> None:
    container = backed.inspect("todo-wal")
    assert container["HostConfig"]["NetworkMode"] == "none"
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert container["EffectiveCaps"] in (None, [])
    assert container["Config"]["User"] == "10005:10005"


def test_the_kernel_decides_who_may_copy_the_cluster(backed: Stack) -> None:
    assert connect_as(backed, 10005, "todo_backup").returncode == 0
    for uid, role in ((10005, "postgres"), (10005, "todo_owner"), (10001, "todo_backup")):
        refused = connect_as(backed, uid, role)
        assert refused.returncode != 0
        assert re.search("Peer authentication failed|no pg_hba.conf entry", refused.stderr)


def test_a_cluster_of_an_earlier_release_gets_the_role(backed: Stack) -> None:
    backed.systemctl("stop", "todo-backup.timer", "todo-wal")
    wait_until(lambda: query(backed, "SELECT count(*) FROM pg_stat_replication") == "0", 600, "off")
    query(backed, "DROP OWNED BY todo_backup")
    query(backed, "DROP ROLE todo_backup")
    record = "/var/lib/postgresql/data/todo-roles"
    backed.podman("exec", "todo-db", "sh", "-c", f"echo 1 > {record}")
    backed.systemctl("restart", "todo-db")
    assert connect_as(backed, 10005, "todo_backup").returncode == 0


def test_wal_arrives_again_after_a_restart_of_the_database(backed: Stack) -> None:
    backed.systemctl("restart", "todo-db")
    wait_until(lambda: is_received(backed), 600, "WAL arrives again")
    with backed.client("barbara") as client:
        client.post("/api/v1/tasks", json={"title": "Water"}).raise_for_status()
    wait_until(lambda: find(backed)["wal"]["lag_bytes"] < 1 << 20, 600, "WAL is received")


def test_a_receiver_that_hangs_is_replaced(backed: Stack) -> None:
    before = backed.show("todo-wal", "InvocationID")
    (pid,) = backed.lab.run(["pgrep", "--full", "^pg_receivewal"]).stdout.split()[:1]
    # The server drops a receiver that does not answer for a minute (wal_sender_timeout).
    backed.lab.run(["kill", "-s", "STOP", pid], user="root")
    wait_until(
        lambda: backed.show("todo-wal", "InvocationID") != before and is_received(backed),
        3600,
        "replaced",
    )


def test_the_timer_makes_backups_and_down_stops_it(backed: Stack) -> None:
    assert backed.show("todo-backup.timer", "UnitFileState") == "enabled"
    assert backed.show("todo-backup.timer", "NextElapseUSecRealtime")
    backed.build("down", "--no-lab")
    assert backed.show("todo-backup.timer", "ActiveState") == "inactive"
    assert backed.show("todo-wal", "ActiveState") == "inactive"
    backed.up()
    assert backed.show("todo-backup.timer", "ActiveState") == "active"
    assert is_received(backed)


def test_a_full_disk_is_one_line_with_its_exit_code(backed: Stack) -> None:
    folder = "small"
    backed.lab.run(["mkdir", folder])
    backed.lab.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "none", f"/home/todo/{folder}"], user="root"
    )
    backed.lab.run(["chown", "todo:", f"/home/todo/{folder}"], user="root")
    try:
        backed.up("--backup", f"--backup-folder=/home/todo/{folder}")
        failed = backed.build("backup", "--no-lab", check=False)
        assert failed.returncode == 74
        assert "the backup failed (exit code 74): a backup needs " in failed.stderr
        assert find(backed)["last"]["ok"] is False
    finally:
        backed.up("--backup", f"--backup-folder=/home/todo/{FOLDER}")
        backed.lab.run(["umount", "-l", f"/home/todo/{folder}"], user="root", check=False)


def test_no_backup_takes_units_and_slot_away_and_leaves_the_backups(backed: Stack) -> None:
    backed.build("backup", "--no-lab")
    assert query(backed, OUTCOMES) != "0"
    backed.up("--no-backup")
    assert query(backed, SLOTS) == "0"
    assert query(backed, OUTCOMES) == "0"
    for unit in ("todo-wal.service", "todo-backup.service", "todo-backup.timer"):
        assert backed.show(unit, "LoadState") == "not-found"
    assert backed.lab.run(["ls", f"{FOLDER}/base"]).stdout
    refused = backed.build("backup", "--no-lab", check=False)
    assert (refused.returncode, "backups are not set up in this stack" in refused.stderr) == (
        78,
        True,
    )
    backed.up("--backup")
    assert query(backed, SLOTS) == "1"
