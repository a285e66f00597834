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


@pytest.fixture
def switchable(old: tuple[Cluster, str]) -> Iterator[tuple[Cluster, str]]:
    """The old server, which reads the settings of the container as the entry point does."""
    cluster, url = old
    settings = Path("/tmp/settings")  # noqa: S108  # of the container; here, of this machine
    included = cluster.root / "data" / "postgresql.conf"
    settings.mkdir(exist_ok=True)
    shutil.chown(settings, cluster.root.owner())
    before = included.read_text()
    included.write_text(f"{before}\ninclude_dir '{settings}'\n")
    try:
        yield cluster, url
    finally:
        included.write_text(before)
        shutil.rmtree(settings)
        cluster.query(url, "SELECT pg_reload_conf()")


def refuse(server: tuple[Cluster, str], to: str, code: int = 0) -> str:
    done = run("refuse_writes.sh", *server, to)
    assert done.returncode == code, done.stderr
    return done.stderr


def may_write(server: tuple[Cluster, str]) -> bool:
    """Return whether a client of the backend's role may, as far as the server decides it."""
    cluster, url = server
    with cluster.connect(name_of(url)) as client:
        client.execute("SET ROLE todo")
        return client.execute("SHOW transaction_read_only").fetchall() == [("off",)]


def test_writes_are_refused_while_reads_and_connections_continue(
    switchable: tuple[Cluster, str],
) -> None:
    cluster, url = switchable
    with cluster.connect(name_of(url)) as client:
        assert refuse(switchable, "on") == ""
        assert client.execute("SELECT count(*) FROM written").fetchall() == [(5000,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            client.execute("DELETE FROM written")
        assert refuse(switchable, "off") == ""
        client.execute("UPDATE written SET text = text WHERE n = 1")


def test_each_word_may_be_said_twice(switchable: tuple[Cluster, str]) -> None:
    for to in ("off", "on", "on", "off", "off", "on", "off"):
        assert refuse(switchable, to) == ""
        assert may_write(switchable) == (to == "off")


READ_ONLY = "SET default_transaction_read_only ="
SETTINGS = (
    *("ALTER SYSTEM", "ALTER DATABASE {}"),
    *("ALTER ROLE postgres", "ALTER ROLE todo IN DATABASE {}"),
)


@pytest.mark.parametrize("statement", SETTINGS)
@pytest.mark.parametrize("value", ["on", "off"])
def test_a_setting_that_somebody_made_stays(
    switchable: tuple[Cluster, str], statement: str, value: str
) -> None:
    cluster, url = switchable
    what = statement.format(name_of(url))
    before = may_write(switchable)
    cluster.query(url, f"{what} {READ_ONLY} {value}")
    cluster.query(url, "SELECT pg_reload_conf()")
    try:
        if value == "on":
            for _ in range(2):
                assert refuse(switchable, "on") == ""
                assert not may_write(switchable)
        else:
            # Some would write, and the copy would lack that.
            assert f"set to off by {what}, which" in refuse(switchable, "on", code=78)
            assert may_write(switchable)
        assert refuse(switchable, "off") == ""
        found = "SELECT setconfig FROM pg_db_role_setting"
        kept = [f"default_transaction_read_only={value}"] in [
            config[-1:] for (config,) in cluster.query(url, found)
        ]
        assert kept or what == "ALTER SYSTEM"
    finally:
        with cluster.connect("postgres") as client:
            client.execute("SET default_transaction_read_only = off")
            client.execute(f"{what} RESET default_transaction_read_only".encode())
            client.execute("SELECT pg_reload_conf()")
    assert may_write(switchable) == before


def test_a_setting_of_another_database_does_not_count(switchable: tuple[Cluster, str]) -> None:
    cluster, url = switchable
    cluster.query(url, f"ALTER DATABASE postgres {READ_ONLY} off")
    try:
        assert refuse(switchable, "on") == ""
        assert refuse(switchable, "off") == ""
    finally:
        cluster.query(url, "ALTER DATABASE postgres RESET default_transaction_read_only")


def test_a_server_that_ends_meanwhile_is_no_success() -> None:
    with open_cluster() as cluster:
        url = cluster.make_database()
        cluster.stop()
        done = run("refuse_writes.sh", cluster, url, "off")
        assert done.returncode not in {0, 78}


def test_a_database_that_is_read_only_is_copied(old: tuple[Cluster, str], new: Cluster) -> None:
    cluster, url = old
    names = (f"ALTER DATABASE {name_of(url)}", "ALTER ROLE postgres")
    with cluster.connect("postgres") as client:
        for what in names:
            client.execute(f"{what} {READ_ONLY} on".encode())
    try:
        assert copy(old, new) == ""
        assert find_content(new, url) == find_content(cluster, url)
        with new.connect(name_of(url)) as client:
            assert client.execute("SHOW default_transaction_read_only").fetchall() == [("on",)]
    finally:
        with cluster.connect("postgres") as client:
            for what in names:
                client.execute("SET default_transaction_read_only = off")
                client.execute(f"{what} RESET default_transaction_read_only".encode())
