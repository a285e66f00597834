"""The services in this process, on a migrated database, without HTTP."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.integration.service import call_admin, make_environment, open_folder
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.db.database import Database
from todo.tasks import query as tasks_query
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from tests.integration.cluster import Cluster

Result = TypeVar("Result")


@dataclass
class World:
    """A migrated database and the loop that its connections live in."""

    database: Database
    runner: asyncio.Runner

    def run(self, act: Callable[[], Awaitable[Result]]) -> Result:
        async def whole() -> Result:
            return await act()

        return self.runner.run(whole())

    def write(
        self, caller: Caller, now: datetime, act: Callable[[UnitOfWork], Awaitable[Result]]
    ) -> Result:
        """Do something in one transaction."""

        async def whole() -> Result:
            async with self.database.unit_of_work() as session:
                work = UnitOfWork(session, caller, now)
                result = await act(work)
                await work.commit()
                return result

        return self.run(whole)

    def read_pages(
        self, caller: Caller, now: datetime, query: tasks_query.Query
    ) -> list[list[bytes]]:
        """Read page by page to the end."""

        async def whole() -> list[list[bytes]]:
            pages: list[list[bytes]] = []
            asked = query
            async with self.database.reading() as session:
                while True:
                    page = await tasks_query.read_page(session, caller, asked, now)
                    assert len(page.items) <= query.limit
                    pages.append(page.items)
                    if page.next_cursor is None:
                        return pages
                    assert page.next_cursor != asked.cursor
                    asked = replace(asked, cursor=page.next_cursor)

        return self.run(whole)


def find_url(request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the address of an empty database of the kind that is the fixture's parameter."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{folder}/todo.db"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.make_database()


@contextlib.contextmanager
def open_database(url: str) -> Iterator[World]:
    """Use a database that is there."""
    with asyncio.Runner() as runner:
        world = World(Database(Settings(database_url=url)), runner)
        yield world
        runner.run(world.database.dispose())


@contextlib.contextmanager
def open_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Migrate an empty database of the kind that is the fixture's parameter, and use it."""
    with open_folder() as folder:
        url = find_url(request, folder)
        environment = make_environment(folder, {"TODO_DATABASE_URL": url})
        assert call_admin(environment, "migrate").returncode == 0
        with open_database(url) as world:
            yield world
