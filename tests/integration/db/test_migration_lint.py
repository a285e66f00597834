"""Statements of migrations after the last release, linted by squawk."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deploy.paths import REPO
from tests.integration.cluster import Cluster
from tests.integration.db.migration_lint import Migration, capture, lint
from tests.integration.db.next_schema import (
    ADDITIONS,
    CONTRACT_REVISION,
    DROPPED,
    NEXT_REVISION,
    RENAMED,
    REQUIRED,
    add_migration,
)
from tests.integration.db.release import Release
from tests.integration.old_data import migrate_to, open_engine
from todo.db.tables import CONTRACTS, EXPECTED_REVISION

INDEX = "CREATE INDEX ix_task_completed ON task (completed_at)"

CaptureNext = Callable[..., Migration]


@pytest.fixture
def url(cluster: Cluster, release: Release) -> str:
    """A database as the last release has it."""
    url = cluster.make_database()
    engine = open_engine(url)
    migrate_to(engine, release.revision)
    engine.dispose()
    return url


@pytest.fixture
def capture_next(tmp_path: Path, url: str) -> CaptureNext:
    """Add a migration to the current sources and return what it executes."""

    def run(statements: Sequence[str], **module: str) -> Migration:
        migration = capture(add_migration(tmp_path, statements, **module), url)[-1]
        assert migration.revision == NEXT_REVISION
        assert migration.statements == list(statements)
        return migration

    return run


def test_the_migrations_since_the_last_release_pass(url: str, release: Release) -> None:
    migrations = capture(REPO / "src", url)

    assert len(migrations) == int((EXPECTED_REVISION, *CONTRACTS)[-1]) - int(release.revision)
    assert {each.revision: lint(each) for each in migrations if lint(each)} == {}


def test_a_migration_that_only_adds_passes(capture_next: CaptureNext) -> None:
    assert lint(capture_next(ADDITIONS)) == []


def test_what_a_former_program_cannot_work_with_is_reported(capture_next: CaptureNext) -> None:
    unique = "CREATE UNIQUE INDEX ix_color_name ON color (name)"
    check = "ALTER TABLE task ADD CONSTRAINT ck_color CHECK (color <> '') NOT VALID"
    assert lint(capture_next([REQUIRED, DROPPED, RENAMED, check, ADDITIONS[2], unique])) == [
        f"adding-required-field: {REQUIRED};",
        f"ban-new-write-restriction: {REQUIRED};",
        f"ban-drop-column: {DROPPED};",
        f"renaming-column: {RENAMED};",
        f"ban-new-write-restriction: {check};",
    ]


def test_a_migration_may_take_away_what_it_says_that_former_programs_miss(
    capture_next: CaptureNext,
) -> None:
    assert lint(capture_next([DROPPED, RENAMED], oldest_program=NEXT_REVISION)) == []


def test_a_contract_may_take_away_what_former_programs_miss(tmp_path: Path, url: str) -> None:
    sources = add_migration(tmp_path, ADDITIONS, contract=[DROPPED])
    expansion, contract = capture(sources, url)[-2:]

    assert (expansion.contracts, contract.contracts) == (False, True)
    assert (contract.revision, contract.statements) == (CONTRACT_REVISION, [DROPPED])
    assert lint(expansion) + lint(contract) == []


def test_an_index_of_a_table_with_rows_is_reported(capture_next: CaptureNext) -> None:
    assert lint(capture_next([INDEX])) == [f"require-concurrent-index-creation: {INDEX};"]


def test_a_migration_that_gives_a_reason_may_make_that_index(capture_next: CaptureNext) -> None:
    reason = 'lint_exceptions = {"require-concurrent-index-creation": "3 s for a million tasks"}'
    assert lint(capture_next([INDEX], more=reason)) == []
