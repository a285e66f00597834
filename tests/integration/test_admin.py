"""The operators' command line against real databases."""

import json
import os
import signal
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
from tests.integration.service import (
    SECRET,
    Service,
    call_admin,
    make_environment,
    open_folder,
    run_admin,
)
from todo import admin
from todo.db.migrate import LOCK_KEY
from todo.db.tables import EXPECTED_REVISION, metadata


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
    assert first.stdout == f"migrated the schema from nothing to revision {EXPECTED_REVISION}\n"
    assert second.stdout == f"the schema is already at revision {EXPECTED_REVISION}\n"
    assert first.stderr == second.stderr == ""


def is_ours(name: str | None, _kind: str, _parents: object) -> bool:
    """Return whether the program's metadata has it; the index of words is each database's own."""
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


def test_a_migration_waits_for_the_one_before_it(cluster: Cluster, folder: Path) -> None:
    url = cluster.make_database()
    environment = make_environment(folder, {"TODO_DATABASE_URL": url})
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        other.execute("ALTER ROLE todo SET lock_timeout = '50ms'")
        other.execute("ALTER ROLE todo SET statement_timeout = '50ms'")
        migration = subprocess.Popen(
            [sys.executable, "-m", "todo.admin", "migrate"],
            env=environment,
            stdout=-1,
            stderr=-1,
            text=True,
        )
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while cluster.query(url, waiting) == [(0,)]:
            assert migration.poll() is None
            time.sleep(0.05)
        other.execute("ALTER ROLE todo RESET ALL")
        # Longer than the limits of the role.
        time.sleep(0.2)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert cluster.query(url, tables) == [(0,)]
    output, errors = migration.communicate()

    assert (migration.returncode, errors) == (0, "")
    assert output == (
        "waiting for another process that is changing the database\n"
        f"migrated the schema from nothing to revision {EXPECTED_REVISION}\n"
    )


def test_a_database_that_needs_a_newer_program_is_neither_migrated_nor_served(
    cluster: Cluster, folder: Path
) -> None:
    url = cluster.make_database()
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    environment = make_environment(folder, options)
    assert run_admin(environment, "migrate").returncode == 0
    cluster.query(url, "UPDATE alembic_version SET version_num = '9999'")
    cluster.query(url, "UPDATE schema_compatibility SET oldest_program = '9998'")

    done = run_admin(environment, "migrate")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (65, "", 1)
    assert done.stderr.startswith("todo.admin: error: ")
    assert "revision 9999" in done.stderr
    service = Service(folder, options)
    try:
        service.wait_for("not ready")
        assert service.get_check("startupz").status_code == 503
        detail = service.get_check("readyz").json()["detail"]
        assert "revision 9999, which requires a program for revision 9998 or later" in detail
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


def test_a_token_has_the_scopes_that_were_asked_for(folder: Path) -> None:
    asked = ("--scope", "write", "--scope", "read")
    done = run_admin(make_environment(folder, {}), "token", "--subject", "alice", *asked)

    claims = jwt.decode(done.stdout.rstrip("\n"), SECRET, algorithms=["HS256"])
    assert claims["scope"] == "read write"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "missing: COMMAND — see: python3 -m todo.admin --help"),
        (("nothing",), "unknown command nothing, must be one of: token, tokens, revoke, "),
        (("token",), "missing: --subject — see: python3 -m todo.admin token --help"),
        (
            ("token", "--subject", ""),
            "--subject: the subject must be 1 to 255 printable characters",
        ),
        (
            ("token", "--subject", "a", "--days", "366"),
            "--days: must be a whole number from 1 to 365 — see: ",
        ),
        (("token", "--subject", "a", "--days", "0"), "--days: must be a whole number"),
        (
            ("token", "--subject", "a", "--scope", "reed"),
            "--scope: unknown scope reed, must be one of: admin, assistant, delete, read, write",
        ),
        (("migrate", "--wait", "soon"), "--wait: must be a number of seconds from 0 to 86400"),
        (
            ("import", "--format", "xml", "x"),
            "--format: invalid value xml, must be one of: json, ical — see",
        ),
        (("import", "a", "b's"), "unknown: b's — see: python3 -m todo.admin --help"),
        (("export", "--output=--"), "--output: requires a value — see"),
        (("export", "--output", ""), "--output: must be a file name or - — see"),
        (("verify", "--head="), "--head: must be a file name or - — see"),
        (("import", ""), "FILE: must be a file name or - — see"),
        (("export", "--output"), "--output: requires a value — see"),
        (("verify", "--state=1"), "--state: does not accept a value — see"),
        (("revoke",), "name the tokens by ID, or use --owner USER for all tokens of a user"),
    ],
)
def test_wrong_usage_is_one_plain_line(folder: Path, arguments: tuple[str, ...], line: str) -> None:
    done = call_admin(make_environment(folder, {}), *arguments)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)
    assert done.stderr.startswith(f"todo.admin: error: {line}")


def test_a_program_around_it_is_named_as_its_user_calls_it(folder: Path) -> None:
    done = run_admin(make_environment(folder, {}), "--as", "build.py admin", "export", "x")

    assert done.stderr == ("build.py: error: unknown: x — see: python3 build.py admin --help\n")


@pytest.mark.parametrize(
    ("words", "files"),
    [
        ("export --output a", {"input": None, "output": "a"}),
        ("export", {"input": None, "output": "-"}),
        ("import --owner x b", {"input": "b", "output": None}),
        ("verify --head c --export-head d", {"input": "c", "output": "d"}),
        ("tokens --owner x", {"input": None, "output": None}),
    ],
)
def test_the_files_of_a_command_line_are_known_without_running_it(
    folder: Path, words: str, files: dict[str, str | None]
) -> None:
    nowhere = make_environment(folder, {"TODO_DATABASE_URL": "nothing"})

    done = call_admin(nowhere, "--plan", *words.split())

    assert (done.returncode, json.loads(done.stdout)) == (0, files)


def test_descriptors_take_the_place_of_streams_and_of_named_files(folder: Path) -> None:
    environment = make_environment(folder, {"TODO_DATABASE_URL": f"sqlite:///{folder}/todo.db"})
    assert run_admin(environment, "migrate").returncode == 0
    out, heads = folder / "out", folder / "heads"
    with out.open("wb") as one, heads.open("wb") as two:
        given = f"stdout={one.fileno()},output={two.fileno()}"
        words = ["--descriptors", given, "verify", "--export-head", "/nowhere/heads"]
        done = subprocess.run(
            [sys.executable, "-m", "todo.admin", *words],
            env=environment,
            pass_fds=(one.fileno(), two.fileno()),
            capture_output=True,
            check=False,
        )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert out.read_text() == "verified 0 journals, 0 entries\n"
    assert heads.read_text() == ""


def test_a_command_ends_with_the_program_that_holds_its_lifeline(
    cluster: Cluster, folder: Path
) -> None:
    url = cluster.make_database()
    environment = make_environment(folder, {"TODO_DATABASE_URL": url})
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
        # A migration that waits for this lock would wait for ever.
        other.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        reader, writer = os.pipe()
        words = ["--descriptors", f"lifeline={reader}", "migrate"]
        migration = subprocess.Popen(
            [sys.executable, "-m", "todo.admin", *words],
            env=environment,
            pass_fds=(reader,),
            stderr=-1,
            text=True,
        )
        os.close(reader)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while cluster.query(url, waiting) == [(0,)]:
            assert migration.poll() is None
            time.sleep(0.05)
        os.close(writer)
        _output, errors = migration.communicate()

    assert errors == "todo.admin: error: interrupted\n"


def test_an_interrupt_that_comes_upon_a_command_in_this_process_ends_the_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin, "_make_parser", lambda _program: signal.raise_signal(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        call_admin({}, "verify")


def test_a_reader_that_left_is_no_error(folder: Path) -> None:
    environment = make_environment(folder, {})
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "todo.admin", "options"],
            env=environment,
            stdout=out,
            stderr=-1,
            check=False,
        )

    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ("options",),
        ("--help",),
        ("token", "--help"),
        ("tokens",),
        ("verify",),
        ("export",),
        ("migrate",),
        ("token", "--subject", "alice"),
        ("import", "-"),
    ],
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_one_line(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    environment = make_environment(folder, {"TODO_DATABASE_URL": f"sqlite:///{folder}/todo.db"})
    assert call_admin(environment, "migrate").returncode == 0
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "todo.admin", *arguments],
            env=environment,
            input='{"todo-backend":{"format":1}}\n',
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.stderr == (
        "todo.admin: error: cannot write standard output: No space left on device\n"
    )
    assert done.returncode == 64


def test_errors_that_cannot_be_written_leave_the_exit_code(folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "todo.admin", "revoke"],
            env=make_environment(folder, {}),
            stderr=full,
            check=False,
        )

    assert done.returncode == 64


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
