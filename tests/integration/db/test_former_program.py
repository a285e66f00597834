"""The last release on the current schema, and on schemas with one more migration."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from deploy.paths import REPO
from tests.integration.db.next_schema import (
    ADDITIONS,
    DROPPED,
    NEXT_REVISION,
    RENAMED,
    REQUIRED,
    add_migration,
)
from tests.integration.db.release import CHOSEN, Outcome, Release, ReleaseMissingError, open_release
from tests.integration.schema_sources import migrate_by
from tests.integration.service import make_environment, open_service, run_admin
from tests.integration.worlds import find_url
from todo.core.exit import ExitCode
from todo.db.schema_version import SchemaVersion
from todo.db.tables import EXPECTED_REVISION

FEW = ("lists/test_lists.py", "tasks/test_tasks.py")


def explain(outcome: Outcome) -> str:
    return outcome.output[-8000:]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    return find_url(request, tmp_path)


def test_the_current_schema_accepts_the_last_release(release: Release, tmp_path: Path) -> None:
    migrate_by(REPO / "src", f"sqlite:///{tmp_path}/todo.db")

    with contextlib.closing(sqlite3.connect(tmp_path / "todo.db")) as connection:
        ((oldest,),) = connection.execute("SELECT oldest_program FROM schema_compatibility")
    assert SchemaVersion(EXPECTED_REVISION, oldest).supports(release.revision), (
        f"migrations up to {EXPECTED_REVISION} need a program for {oldest} or later, and the last "
        f"release is for {release.revision}: take away only what a release no longer uses"
    )


def test_the_unpacked_release_cannot_migrate_by_itself(release: Release, url: str) -> None:
    with pytest.raises(RuntimeError, match="Can't locate revision identified by"):
        migrate_by(release.sources, url)


def test_the_chosen_tests_use_every_table_of_the_release(release: Release) -> None:
    used = {table for tables in CHOSEN.values() for table in tables}

    # The program reads the last one whenever it starts.
    assert used | {"schema_compatibility"} == release.tables


@pytest.mark.longer(3000)
def test_the_tests_of_the_last_release_pass_on_the_current_schema(release: Release) -> None:
    outcome = release.run_tests(REPO / "src", list(CHOSEN))
    if outcome.code == pytest.ExitCode.TESTS_FAILED:
        # On a busy machine, a test of then can fail by itself. What the schema breaks fails again.
        outcome = release.run_tests(REPO / "src", list(CHOSEN), "--last-failed")

    assert outcome.code == 0, explain(outcome)


@pytest.mark.longer(900)
def test_the_tests_of_the_last_release_pass_where_a_migration_only_adds(
    release: Release, tmp_path: Path
) -> None:
    sources = add_migration(tmp_path, ADDITIONS)

    outcome = release.run_tests(sources, FEW)

    assert outcome.code == 0, explain(outcome)


@pytest.mark.longer(900)
@pytest.mark.parametrize(
    ("database", "statement"),
    [("sqlite", DROPPED), ("postgres", RENAMED), ("postgres", REQUIRED)],
    ids=["dropped", "renamed", "required"],
)
def test_the_tests_of_the_last_release_fail_on_an_incompatible_schema(
    release: Release, tmp_path: Path, database: str, statement: str
) -> None:
    sources = add_migration(tmp_path, [statement])

    outcome = release.run_tests(sources, FEW, "-k", database, "--exitfirst")

    # A test, not the migration before it.
    assert "1 failed" in outcome.output, explain(outcome)
    assert outcome.code == pytest.ExitCode.TESTS_FAILED


def test_the_last_release_refuses_a_schema_that_says_it_is_too_old(
    release: Release, tmp_path: Path, url: str
) -> None:
    migrate_by(add_migration(tmp_path, [DROPPED], oldest_program=NEXT_REVISION), url)
    options = {"TODO_DATABASE_URL": url, "PYTHONPATH": str(release.sources)}

    migrated = run_admin(make_environment(tmp_path, options), "migrate")
    with open_service(options) as service:
        service.wait_for("listening")
        check = service.get_check("readyz")
        with service.client(service.token()) as client:
            answer = client.get("/api/v1/tasks")

    assert migrated.returncode == ExitCode.SCHEMA_MISMATCH
    assert (check.status_code, check.json()["code"]) == (503, "schema-mismatch")
    assert (answer.status_code, answer.json()["code"]) == (503, "schema-mismatch")


def test_a_clone_without_the_released_commit_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = "0" * 40
    monkeypatch.setattr("tests.integration.db.release.find_commit", lambda: commit)

    with pytest.raises(ReleaseMissingError, match=f"{commit}.*git fetch --unshallow") as caught:
        open_release().__enter__()

    assert "\n" not in str(caught.value)
