"""Base backups by the script of the database image, with PostgreSQL's own programs."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.backup.backup_folder import ROLE, BackupFolder, connect_as, count, make_roles
from tests.integration.cluster import Cluster, find_postgres, name_of
from tests.machine_clock import wait_until


@pytest.fixture
def former(folder: BackupFolder) -> str:
    """A backup that is there already."""
    return folder.back_up()


@pytest.fixture
def hanging(folder: BackupFolder) -> Iterator[subprocess.Popen[str]]:
    """A run that hangs while it verifies its backup."""
    folder.replace_program("pg_verifybackup", "#!/bin/sh\nexec sleep 3600\n")
    process = folder.start("make-backup")
    with process:
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_a_backup_is_verified_described_and_restores(
    folder: BackupFolder, own_cluster: Cluster, url: str, root: Path
) -> None:
    own_cluster.query(url, "INSERT INTO written SELECT generate_series(1, 100)")
    head = "INSERT INTO account VALUES ('ann', 'UTC', gen_random_uuid(), 7, '\\xabcd', now())"
    own_cluster.query(url, head)
    written = count(own_cluster, url)

    stamp = folder.back_up()

    facts = folder.facts(stamp)
    base = folder.path / "base" / stamp
    subprocess.run([find_postgres() / "pg_verifybackup", base], check=True, capture_output=True)
    ((revision,),) = own_cluster.query(url, "SELECT version_num FROM alembic_version")
    assert (facts["format"], facts["stamp"], facts["schema"]) == (1, stamp, revision)
    assert facts["bytes"] > 1_000_000
    assert (base / "pg_wal" / facts["wal_start"]).exists()
    (line,) = (folder.path / "base" / facts["heads"]).read_text().splitlines()
    found = json.loads(line)
    assert (found["owner"], found["seq"], found["hash"]) == ("ann", 7, "abcd")
    outcome = folder.outcome()
    assert (outcome["ok"], outcome["reason"], outcome["stamp"]) == (True, "", stamp)
    # It needs no other WAL than its own.
    folder.wal.mkdir(exist_ok=True)
    restored = folder.restore(stamp, root / "restored")
    try:
        wait_until(lambda: count(restored, url) == written, "restored", within_s=600)
    finally:
        restored.stop()


def test_only_the_account_of_backups_may_read_one(folder: BackupFolder, former: str) -> None:
    for path in (folder.path / "base" / former, folder.path / "files"):
        assert path.stat().st_mode & 0o777 == 0o700
    (dump,) = (folder.path / "dump").iterdir()
    assert dump.stat().st_mode & 0o777 == 0o600
    # What `status` shows.
    assert (folder.path / "state.json").stat().st_mode & 0o777 == 0o644


def test_an_interrupted_backup_leaves_the_former_one_and_goes(
    folder: BackupFolder, former: str, hanging: subprocess.Popen[str]
) -> None:
    partial = folder.path / "base"
    wait_until(
        lambda: any((path / "backup_manifest").exists() for path in partial.glob(".*.partial")),
        "a backup that waits for its verification",
        within_s=600,
    )
    os.killpg(hanging.pid, signal.SIGKILL)
    hanging.wait()
    assert folder.find_stamps() == [former]
    base = folder.path / "base" / former
    subprocess.run([find_postgres() / "pg_verifybackup", base], check=True, capture_output=True)

    folder.drop_program("pg_verifybackup")
    stamp = folder.back_up()

    names = {path.name for path in partial.iterdir()}
    assert names == {stamp, f"{stamp}.json", f"{stamp}.heads"}


def test_a_backup_that_the_disk_damaged_does_not_count(folder: BackupFolder, former: str) -> None:
    real = find_postgres() / "pg_basebackup"
    damage = 'for one; do case $one in --pgdata=*) echo x >> "${one#*=}/PG_VERSION" ;; esac; done'
    folder.replace_program("pg_basebackup", f'#!/bin/sh\nset -e\n{real} "$@"\n{damage}\n')

    code, output = folder.run("make-backup")

    assert code == 1
    assert "todo-backup: the new backup does not match its manifest: check the disk" in output
    assert folder.find_stamps() == [former]
    assert not list((folder.path / "base").glob(".*.partial"))
    outcome = folder.outcome()
    reason = "the new backup does not match its manifest"
    assert (outcome["ok"], outcome["reason"]) == (False, reason)


def test_a_full_disk_is_one_line_before_anything_is_written(
    folder: BackupFolder, former: str
) -> None:
    folder.replace_program("df", "#!/bin/sh\necho Avail\necho 1048576\n")

    code, output = folder.run("make-backup")

    assert code == 74
    (line,) = output.splitlines()
    assert line.startswith("todo-backup: a backup needs ")
    assert "has 1 MiB free: free some, or use another folder" in line
    assert folder.find_stamps() == [former]


def test_a_database_that_is_away_is_one_line(folder: BackupFolder) -> None:
    code, output = folder.run("make-backup", PGHOST="/nonexistent")

    assert code == 69
    assert output.splitlines()[-1] == (
        "todo-backup: the database cannot be reached: see the log of todo-db"
    )


def test_settings_and_secret_files_are_part_of_a_backup(folder: BackupFolder) -> None:
    settings = folder.path / "settings" / "dropins"
    settings.mkdir(parents=True)
    (settings / "50-mine.conf").write_text("[Container]\n")

    stamp = folder.back_up()

    copied = folder.path / "files" / stamp / "dropins" / "50-mine.conf"
    assert copied.read_text() == "[Container]\n"


def test_a_dump_is_made_once_a_week_and_loads(
    folder: BackupFolder, former: str, own_cluster: Cluster
) -> None:
    dumps = folder.path / "dump"
    folder.back_up()
    assert [path.name for path in dumps.iterdir()] == [f"{former}.dump"]
    (dumps / f"{former}.dump").rename(dumps / "20200101T000000Z.dump")
    folder.back_up()
    newest = max(dumps.iterdir())
    assert len(list(dumps.iterdir())) == 2
    target = own_cluster.make_database()
    options = ["--exit-on-error", "--no-owner", "--no-privileges", "--username=postgres"]
    where = [f"--host={own_cluster.root}", f"--dbname={name_of(target)}"]
    load = [str(find_postgres() / "pg_restore"), *options, *where, str(newest)]
    subprocess.run(load, check=True, capture_output=True)
    assert own_cluster.query(target, "SELECT count(*) FROM alembic_version") == [(1,)]


def test_the_role_reads_everything_and_writes_nothing(own_cluster: Cluster, url: str) -> None:
    make_roles(own_cluster, url)
    with connect_as(own_cluster, url, ROLE) as connection:
        attributes = "SELECT rolreplication, rolsuper FROM pg_roles WHERE rolname = current_user"
        assert connection.execute(attributes).fetchall() == [(True, False)]
        assert connection.execute("SELECT count(*) FROM journal").fetchall()
        for statement in (
            b"DELETE FROM written",
            b"CREATE TABLE mine (number int)",
            b"UPDATE account SET zone = zone",
            b"SELECT pg_read_file('PG_VERSION')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
