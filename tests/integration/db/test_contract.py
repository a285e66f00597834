"""The contract step: what only former programs need is taken away on request, and only then."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.integration.db.next_schema import (
    ADDITIONS,
    CONTRACT_REVISION,
    NEXT_REVISION,
    add_migration,
)
from tests.integration.old_data import open_engine
from tests.integration.service import make_environment, open_service, run_admin
from tests.integration.worlds import find_url
from todo.config.settings import Settings
from todo.core.exit import ExitCode
from todo.db.migrate import migrate
from todo.db.tables import EXPECTED_REVISION

CONTRACT = "DROP TABLE color"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the schema of the current program."""
    url = find_url(request, tmp_path)
    migrate(Settings(database_url=url), lambda _line: None)
    return url


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The next program: it makes a table that its contract takes away again."""
    return add_migration(tmp_path / "next", ADDITIONS, contract=[CONTRACT])


def find_schema(url: str) -> tuple[str, str, bool]:
    """The revision, the oldest program, and whether the table is there."""
    engine = open_engine(url)
    with engine.connect() as connection:
        revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        oldest = connection.scalar(sa.text("SELECT oldest_program FROM schema_compatibility"))
        has_table = sa.inspect(connection).has_table("color")
    engine.dispose()
    return str(revision), str(oldest), has_table


def test_only_the_contract_step_ends_former_programs_and_the_next_one_serves_throughout(
    url: str, sources: Path, tmp_path: Path
) -> None:
    next_program = {"TODO_DATABASE_URL": url, "PYTHONPATH": str(sources)}
    environment = make_environment(tmp_path, next_program)

    migrated = run_admin(environment, "migrate")
    assert (migrated.returncode, migrated.stderr) == (0, "")
    assert find_schema(url) == (NEXT_REVISION, EXPECTED_REVISION, True)

    with open_service(next_program) as service, open_service({"TODO_DATABASE_URL": url}) as former:
        service.wait_ready()
        former.wait_ready()
        contracted = run_admin(environment, "migrate", "--contract")
        assert contracted.stdout == (
            f"migrated the schema from {NEXT_REVISION} to revision {CONTRACT_REVISION}\n"
        )
        assert find_schema(url) == (CONTRACT_REVISION, NEXT_REVISION, False)
        former.wait_not_ready()
        assert former.get_check("readyz").json()["code"] == "schema-mismatch"
        with service.client(service.token()) as client:
            assert client.post("/api/v1/tasks", json={"title": "milk"}).status_code == 201
        assert service.get_check("readyz").status_code == 200

    again = run_admin(environment, "migrate", "--contract")
    plain = run_admin(environment, "migrate")
    assert again.stdout == f"the schema is already at revision {CONTRACT_REVISION}\n"
    assert plain.stdout == (
        f"the schema is at revision {CONTRACT_REVISION}, which this program supports\n"
    )


def test_a_migration_does_not_pass_a_contract_on_its_way(url: str, tmp_path: Path) -> None:
    # A version later, whose own migration comes after the contract.
    sources = add_migration(tmp_path / "next", ADDITIONS, oldest_program=NEXT_REVISION)
    options = {"TODO_DATABASE_URL": url, "PYTHONPATH": str(sources)}
    environment = make_environment(tmp_path, options)

    refused = run_admin(environment, "migrate")
    assert refused.returncode == ExitCode.SCHEMA_MISMATCH
    assert f"removes what programs before {NEXT_REVISION} need" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert find_schema(url) == (EXPECTED_REVISION, "0013", False)

    assert run_admin(environment, "migrate", "--contract").returncode == 0
    assert find_schema(url) == (NEXT_REVISION, NEXT_REVISION, True)


def test_an_empty_database_has_no_former_programs(tmp_path: Path) -> None:
    sources = add_migration(tmp_path / "next", ADDITIONS, oldest_program=NEXT_REVISION)
    url = f"sqlite:///{tmp_path}/empty.db"
    options = {"TODO_DATABASE_URL": url, "PYTHONPATH": str(sources)}

    assert run_admin(make_environment(tmp_path, options), "migrate").returncode == 0
    assert find_schema(url)[0] == NEXT_REVISION
