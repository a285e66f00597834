"""Plans in a database that an upgrade brought from the revision before them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import sqlalchemy as sa

from tests.integration.old_data import BEFORE_WORDS, OWNERS, fill, migrate_to, open_engine
from tests.integration.service import open_folder
from tests.integration.worlds import find_url, open_database
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.db.migrate import migrate
from todo.plans.service import PlanService

if TYPE_CHECKING:
    from todo.plans.operation import PlanOperation

NOW = datetime(2027, 1, 5, 12, tzinfo=UTC)
BEFORE_PLANS = "0010"
COUNT = 40


def fetch(engine: sa.Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the revision before plans, with tasks and lists of two owners."""
    with open_folder() as folder:
        url = find_url(request, folder)
        engine = open_engine(url)
        migrate_to(engine, BEFORE_WORDS)
        fill(engine, COUNT)
        migrate_to(engine, BEFORE_PLANS)
        engine.dispose()
        yield url


def test_tasks_from_before_can_be_planned_and_nothing_else_changed(url: str) -> None:
    engine = open_engine(url)
    tables = ("task", "list", "task_tag", "account", "journal")
    before = {name: fetch(engine, f"SELECT * FROM {name}") for name in tables}  # noqa: S608
    migrate(Settings(database_url=url), lambda _line: None)

    assert {name: fetch(engine, f"SELECT * FROM {name}") for name in tables} == before  # noqa: S608
    owner = Caller(OWNERS[0])
    mine = f"FROM task WHERE owner = '{owner.user}'"
    ids = [str(row[0]) for row in fetch(engine, f"SELECT id {mine}")]
    operations: list[PlanOperation] = [{"op": "delete", "id": ids[0]}]
    with open_database(url) as world:
        plan = world.write(owner, NOW, lambda work: PlanService(work).create(operations))
        world.write(owner, NOW, lambda work: PlanService(work).apply(plan.id))
    assert fetch(engine, f"SELECT count(*) {mine}") == [
        (len(ids) - len(orjson.loads(plan.changes)),)
    ]
    engine.dispose()
