"""The scripts that copy a cluster into another one and refuse writes, on real servers."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.upgrade import clusters
from tests.integration.backup.backup_folder import SCRIPTS, make_roles
from tests.integration.cluster import Cluster, find_postgres, name_of, open_cluster, unprivileged
from tests.integration.conftest import migrate_as_owner


@pytest.fixture(scope="module")
def old() -> Iterator[tuple[Cluster, str]]:
    """A cluster with a migrated database, rows, and settings of roles and of the database."""
    with open_cluster() as cluster:
        url = cluster.make_database()
        migrate_as_owner(cluster.hand_over(url))
        make_roles(cluster, url)
        for statement in (
            "CREATE TABLE written AS SELECT n, 'text ' || n AS text FROM generate_series(1,5000) n",
            "CREATE ROLE analyst",
            "GRANT SELECT ON written TO analyst",
            "ALTER ROLE todo_owner SET temp_file_limit = '2GB'",
            """ALTER ROLE todo_backup SET todo.backup = '{"ok": true, "reason": ""}'""",
            f"ALTER DATABASE {name_of(url)} SET plan_cache_mode = 'force_generic_plan'",
        ):
            cluster.query(url, statement)
        yield cluster, url


@pytest.fixture
def new(old: tuple[Cluster, str]) -> Iterator[Cluster]:
    """A cluster as the entry point makes it."""
    with open_cluster() as cluster:
        with cluster.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name_of(old[1])}".encode())
        make_roles(cluster, old[1])
        yield cluster


def run(
    name: str, cluster: Cluster, url: str, *words: object, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script of the image as the account of the server."""
    programs = [*([path] if path else []), find_postgres(), os.environ["PATH"]]
    environment = {
        "PATH": ":".join(map(str, programs)),
        "DB_NAME": name_of(url),
        "DB_SOCKET_DIR": str(cluster.root),
        "TMPDIR": str(cluster.root),
    }
    argv = ["sh", str(SCRIPTS / name), *map(str, words)]
    as_server: dict[str, Any] = {"cwd": "/", "env": environment, **unprivileged()}
    return subprocess.run(argv, capture_output=True, text=True, check=False, **as_server)


def copy(old: tuple[Cluster, str], new: Cluster, path: Path | None = None) -> str:
    """Copy; returns what the script says when it fails."""
    done = run("copy_cluster.sh", new, old[1], old[0].root, new.root, path=path)
    assert (done.returncode == 0) == (not done.stderr), done.stderr
    return done.stderr


def find_content(cluster: Cluster, url: str) -> dict[str, str]:
    argv = ["psql", "-h", str(cluster.root), "-U", "postgres", "-d", name_of(url), "-XqAt"]
    done = subprocess.run(
        argv, input=clusters.CONTENT, capture_output=True, text=True, check=True, cwd="/"
    )
    return dict(line.split("|", 1) for line in done.stdout.splitlines())


def test_everything_is_copied(old: tuple[Cluster, str], new: Cluster) -> None:
    cluster, url = old
    assert copy(old, new) == ""
    content = find_content(new, url)
    assert content == find_content(cluster, url)
    assert content["written"].startswith("5000 ")
    settings = (
        "SELECT coalesce(rolname, datname), setconfig FROM pg_db_role_setting"
        " LEFT JOIN pg_roles ON pg_roles.oid = setrole"
        " LEFT JOIN pg_database ON pg_database.oid = setdatabase ORDER BY 1"
    )
    assert len(new.query(url, settings)) == 3
    assert new.query(url, settings) == cluster.query(url, settings)
    # Owner, privileges and memberships.
    for statement in (
        "SELECT datacl::text, pg_get_userbyid(datdba) FROM pg_database WHERE datname LIKE 'todo%'",
        "SELECT relname, relacl::text FROM pg_class WHERE relkind = 'r' ORDER BY 1",
        "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1, 2",
        "SELECT rolname, rolconnlimit, rolreplication FROM pg_roles ORDER BY 1",
    ):
        assert new.query(url, statement) == cluster.query(url, statement)
    analyzed = "SELECT count(*) FROM pg_stats WHERE tablename = 'written'"
    assert new.query(url, analyzed) == [(2,)]


def test_a_row_that_differs_is_found(old: tuple[Cluster, str], new: Cluster) -> None:
    cluster, url = old
    copy(old, new)
    new.query(url, "UPDATE written SET text = 'text 8' WHERE n = 7")
    before, after = find_content(cluster, url), find_content(new, url)
    assert clusters.describe_changes(before, after) == ["written: another content"]


@pytest.mark.parametrize("program", ["pg_dump", "pg_restore", "pg_dumpall", "vacuumdb"])
def test_a_program_that_fails_at_its_end_is_noticed(
    old: tuple[Cluster, str], new: Cluster, program: str
) -> None:
    # It does all of its work, and then fails: only its exit code says so.
    folder = Path(shutil.copytree(SCRIPTS, new.root / "bin"))
    wrapper = folder / program
    wrapper.write_text(f'#!/bin/sh\n{find_postgres()}/{program} "$@"\nexit 1\n')
    wrapper.chmod(0o755)
    folder.chmod(0o755)
    assert program in copy(old, new, folder)


def test_a_cluster_with_more_than_it_copies_is_refused(
    old: tuple[Cluster, str], new: Cluster
) -> None:
    cluster, url = old
    cluster.query(url, "CREATE DATABASE mine")
    try:
        assert "further databases, which would be left behind: mine" in copy(old, new)
    finally:
        cluster.query(url, "DROP DATABASE mine")


def test_writes_are_refused_while_reads_and_connections_continue(old: tuple[Cluster, str]) -> None:
    cluster, url = old
    settings = Path("/tmp/settings")  # noqa: S108  # of the container; here, of this machine
    included = cluster.root / "data" / "postgresql.conf"
    name = name_of(url)
    # As the entry point starts the server.
    settings.mkdir(exist_ok=True)
    shutil.chown(settings, cluster.root.owner())
    before = included.read_text()
    included.write_text(f"{before}\ninclude_dir '{settings}'\n")
    try:
        with cluster.connect(name) as client:
            done = run("refuse_writes.sh", cluster, url, "on")
            assert (done.returncode, done.stderr) == (0, "")
            assert client.execute("SELECT count(*) FROM written").fetchall() == [(5000,)]
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                client.execute("DELETE FROM written")
            done = run("refuse_writes.sh", cluster, url, "off")
            assert (done.returncode, done.stderr) == (0, "")
            client.execute("UPDATE written SET text = text WHERE n = 1")
    finally:
        included.write_text(before)
        shutil.rmtree(settings)
