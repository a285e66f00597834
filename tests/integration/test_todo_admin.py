"""The operators' command line against real databases."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from tests.integration.cluster import Cluster
from tests.integration.service import SECRET, Service, make_environment, open_folder, run_admin
from todo.migrate import LOCK_KEY
from todo.models import metadata


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return make_environment(folder, {"TODO_DATABASE_URL": f"sqlite:///{folder}/todo.db"})
    cluster: Cluster = request.getfixturevalue("cluster")
    return make_environment(folder, {"TODO_DATABASE_URL": cluster.make_database()})


def test_migrating_twice_changes_nothing(environment: dict[str, str]) -> None:
    first, second = run_admin(environment, "migrate"), run_admin(environment, "migrate")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == "migrated the schema from nothing to revision 0003\n"
    assert second.stdout == "the schema is already at revision 0003\n"
    assert first.stderr == second.stderr == ""


def is_ours(name: str | None, _kind: str, _parents: object) -> bool:
    """Whether the program's metadata has it; the index of words is each database's own."""
    return not str(name).startswith(("task_search", "task_words", "ix_task_search"))


def test_the_migrations_lead_to_the_tables_of_the_program(environment: dict[str, str]) -> None:
    assert run_admin(environment, "migrate").returncode == 0
    engine = create_engine(environment["TODO_DATABASE_URL"])
    try:
        with engine.connect() as connection:
            options = {"compare_type": True, "include_name": is_ours}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def test_two_migrations_at_once_are_one(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "todo.admin", "migrate"]
    running = [
        subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in running]

    assert [process.returncode for process in running] == [0, 0], outputs
    assert sum("from nothing" in out for out, _err in outputs) == 1


def test_a_migration_waits_for_the_one_before_it(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    environment = make_environment(folder, {"TODO_DATABASE_URL": url})
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        migration = subprocess.Popen(
            [sys.executable, "-m", "todo.admin", "migrate"], env=environment, stdout=-1, text=True
        )
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        deadline = time.monotonic() + 30
        while cluster.query(url, waiting) == [(0,)]:
            assert migration.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert cluster.query(url, tables) == [(0,)]
    output, _errors = migration.communicate(timeout=30)

    assert migration.returncode == 0
    assert "from nothing" in output


def test_a_newer_database_is_neither_migrated_nor_served(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    environment = make_environment(folder, options)
    assert run_admin(environment, "migrate").returncode == 0
    cluster.query(url, "UPDATE alembic_version SET version_num = '9999'")

    done = run_admin(environment, "migrate")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (65, "", 1)
    assert "revision 9999" in json.loads(done.stderr)["message"]
    service = Service(folder, options)
    try:
        service.wait_for("not ready")
        assert service.get_check("startupz").status_code == 503
        assert "9999" in service.get_check("readyz").json()["detail"]
    finally:
        service.stop()


def test_an_absent_database_is_waited_for_and_then_reported(folder: Path) -> None:
    url = f"postgresql+psycopg://todo@/todo?host={folder}"
    environment = make_environment(folder, {"TODO_DATABASE_URL": url})

    began = time.monotonic()
    done = run_admin(environment, "migrate", "--wait", "1.5")

    assert time.monotonic() - began > 1
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert done.stdout == "waiting up to 1.5 s for the database\n"


def test_a_token_is_all_that_is_printed(folder: Path) -> None:
    done = run_admin(make_environment(folder, {}), "token", "--subject", "alice", "--days", "2")

    assert done.stderr == ""
    claims = jwt.decode(done.stdout.rstrip("\n"), SECRET, algorithms=["HS256"])
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == 2 * 86_400


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nothing",),
        ("token",),
        ("token", "--subject", ""),
        ("token", "--subject", "a", "--days", "366"),
        ("token", "--subject", "a", "--days", "0"),
        ("migrate", "--wait", "soon"),
    ],
)
def test_wrong_usage_is_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run_admin(make_environment(folder, {}), *arguments)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)


def test_a_migration_needs_no_token_secret(folder: Path) -> None:
    options = {
        "TODO_TOKEN_SECRET_FILE": "/nowhere",
        "TODO_DATABASE_URL": f"sqlite:///{folder}/todo.db",
    }

    assert run_admin(make_environment(folder, options), "migrate").returncode == 0


def test_a_password_file_and_pgbouncer_mode_connect(cluster: Cluster, folder: Path) -> None:
    password = folder / "password"
    password.write_text("open sesame\n")
    options = {
        "TODO_DATABASE_URL": cluster.make_database(),
        "TODO_DATABASE_PASSWORD_FILE": str(password),
        "TODO_DATABASE_PGBOUNCER": "true",
        "TODO_DATABASE_MIGRATE": "startup",
    }
    service = Service(folder, options)
    try:
        service.wait_ready()
    finally:
        service.stop()
