"""Programs and schemas of different revisions: which work together, and whom a migration stops."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.integration.cluster import Cluster
from tests.integration.old_data import BEFORE_WORDS, fill, migrate_to, open_engine
from tests.integration.service import make_environment, open_folder, open_service, run_admin
from tests.integration.worlds import find_url
from tests.machine_clock import wait_until
from todo.config.settings import Settings
from todo.db.migrate import migrate
from todo.db.tables import EXPECTED_REVISION


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with open_folder() as folder:
        url = find_url(request, folder)
        migrate(Settings(database_url=url), lambda _line: None)
        yield url


def execute(url: str, statement: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def test_a_program_serves_a_later_schema_that_works_with_it(url: str, tmp_path: Path) -> None:
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}

    migrated = run_admin(make_environment(tmp_path, options), "migrate")

    assert (migrated.returncode, migrated.stderr) == (0, "")
    assert migrated.stdout == "the schema is at revision 9999, which this program supports\n"
    with open_service(options) as service:
        service.wait_started()
        with service.client(service.token()) as client:
            assert client.post("/api/v1/tasks", json={"title": "milk"}).status_code == 201
        assert service.get_check("readyz").status_code == 200


def test_a_program_refuses_requests_while_the_schema_is_for_a_later_one(url: str) -> None:
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    execute(url, "UPDATE schema_compatibility SET oldest_program = '9999'")

    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_for("listening")
        with service.client(service.token()) as client:
            refused = client.post("/api/v1/tasks", json={"title": "milk"})
            execute(url, "UPDATE schema_compatibility SET oldest_program = '0013'")
            service.wait_ready()
            stored = client.get("/api/v1/tasks").json()["items"]
            created = client.post("/api/v1/tasks", json={"title": "milk"})
            # Another program changed the schema under the running one.
            execute(url, "UPDATE schema_compatibility SET oldest_program = '9999'")
            service.wait_not_ready()
            stopped = client.get("/api/v1/tasks")

    assert (refused.status_code, refused.json()["code"]) == (503, "schema-mismatch")
    assert "which requires a program for revision 9999 or later" in refused.json()["detail"]
    assert (stored, created.status_code) == ([], 201)
    assert (stopped.status_code, stopped.json()["code"]) == (503, "schema-mismatch")


def test_a_migration_stores_the_oldest_program(url: str) -> None:
    # As if a migration had been added that older programs do not work with.
    execute(url, "UPDATE schema_compatibility SET oldest_program = '0000'")
    execute(url, "UPDATE alembic_version SET version_num = '0012'")
    execute(url, "DROP TABLE schema_compatibility")

    migrate(Settings(database_url=url), lambda _line: None)

    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.scalars(sa.text("SELECT oldest_program FROM schema_compatibility")).all()
    engine.dispose()
    assert found == ["0013"]


def test_a_migration_that_waits_for_a_table_lets_others_use_it(cluster: Cluster) -> None:
    url = cluster.make_database()
    engine = open_engine(url)
    migrate_to(engine, BEFORE_WORDS)
    fill(engine, 20)
    count = sa.text("SELECT count(*) FROM task")
    lines: list[str] = []

    with ThreadPoolExecutor(1) as thread:
        with engine.connect() as reader:
            # The report of somebody who keeps a transaction open.
            reader.execute(count)
            migrating = thread.submit(migrate, Settings(database_url=url), lines.append)
            wait_until(lambda: lines, "the migration gives up its place once", within_s=120)
            for _ in range(5):
                with engine.connect() as other:
                    assert other.scalar(count) == 20
            assert not migrating.done()
        assert migrating.result() == BEFORE_WORDS

    engine.dispose()
    assert lines == ["waiting for transactions that hold locks on the tables"]
    assert cluster.query(url, "SELECT version_num FROM alembic_version") == [(EXPECTED_REVISION,)]
