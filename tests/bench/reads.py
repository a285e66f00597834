"""Benchmark of three ways to read tasks from a database as JSON, on both databases.

    core      SQLAlchemy's Core through its engine for asyncio; orjson makes rows into JSON
    driver    the statement compiled once, run on the driver itself; orjson makes rows into JSON
    image     likewise, but the database makes the JSON (what the service does)

CPU time a read, of this process and of PostgreSQL's, in alternating rounds of a list of 20 and of
one task, with 16 readers at a time. SQLite has no server: its thread's time is this process's.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import bindparam, make_url, select
from sqlalchemy.ext.asyncio import create_async_engine

from tests.bench import api_data
from tests.bench.cpu import database_s
from tests.integration.cluster import Cluster, open_cluster
from tests.integration.service import open_folder
from todo.config.settings import Settings
from todo.db.database import Database
from todo.db.documents import select_document
from todo.db.migrate import migrate
from todo.db.statement import Statement
from todo.db.tables import task
from todo.tasks.document import COLUMNS, to_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Select

Read = Callable[[int], Awaitable[bytes]]
Cost = tuple[float, float]

_READERS = 16
_READS = 1000
_TASKS = 20_000
_OWNERS = 10
_NAMES = [str(column.name) for column in task.columns]
_PLAIN = select(*(column.label(name) for column, name in zip(task.columns, _NAMES, strict=True)))


def _list(chosen: Select[Any]) -> Select[Any]:
    return chosen.where(task.c.owner == bindparam("owner")).order_by(task.c.id.desc()).limit(20)


def _one(chosen: Select[Any]) -> Select[Any]:
    return chosen.where(task.c.id == bindparam("id"))


def main() -> int:
    """Measure on both databases and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with open_cluster() as cluster, open_folder() as folder:
        cluster.stop()
        cluster.start(connections=3 * _READERS, buffers="128MB")
        url = cluster.make_database()
        settings = _settings(url, folder)
        migrate(settings, print)
        owners = f"'owner-' || n % {_OWNERS}"
        cluster.query(url, api_data.render_insert(api_data.COLUMNS, owners, first=0, count=_TASKS))
        cluster.query(url, "VACUUM ANALYZE")
        images = asyncio.run(_copy(settings, folder))
        for name, place in (("PostgreSQL", url), ("SQLite", _sqlite_url(folder))):
            bench = Bench(_settings(place, folder), cluster, [image["id"] for image in images])
            sys.stdout.write(_render(name, asyncio.run(bench.run(rounds))))
    return 0


def _settings(url: str, folder: Path) -> Settings:
    return Settings(
        database_url=url,
        database_pool_size=_READERS,
        token_secret_file=folder / "unused",
        probe_bind=f"unix:{folder}/probe",
    )


def _sqlite_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/todo.db"


async def _copy(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Put PostgreSQL's tasks into SQLite; return the images of some."""
    source, target = Database(settings), Database(_settings(_sqlite_url(folder), folder))
    every = Statement(lambda dialect: select_document(dialect, task, lambda chosen: chosen))
    async with source.reading() as session:
        images = [orjson.loads(row[0]) for row in await session.fetch(every, {})]
    await asyncio.to_thread(migrate, _settings(_sqlite_url(folder), folder), print)
    insert = Statement(task.insert().values({name: bindparam(name) for name in COLUMNS}))
    async with target.unit_of_work() as session:
        await session.run(*((insert, to_row(image)) for image in images))
        await session.commit()
    await source.dispose()
    await target.dispose()
    return images[:: len(images) // 500]


class Bench:
    """The ways, on one database."""

    def __init__(self, settings: Settings, cluster: Cluster, ids: list[str]) -> None:
        self._settings = settings
        self._cluster = cluster
        self._values = {
            "list": [{"owner": f"owner-{number}"} for number in range(_OWNERS)],
            "one": [{"id": task_id} for task_id in ids],
        }

    async def run(self, rounds: int) -> dict[tuple[str, str], Cost]:
        """Return the medians: what is read and how -> microseconds of client and server."""
        self._database = Database(self._settings)
        self._engine = create_async_engine(
            make_url(self._settings.database_url),
            pool_size=_READERS,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
        )
        ways = {
            (what, way): read
            for what, refine in (("list", _list), ("one", _one))
            for way, read in self._ways(what, refine)
        }
        found: dict[tuple[str, str], list[Cost]] = {key: [] for key in ways}
        for number in range(rounds):
            for key in list(ways)[:: -1 if number % 2 else 1]:
                found[key].append(await self._measure(ways[key]))
        await self._database.dispose()
        await self._engine.dispose()
        return {
            key: (
                statistics.median(client for client, _ in costs),
                statistics.median(server for _, server in costs),
            )
            for key, costs in found.items()
        }

    def _ways(
        self, what: str, refine: Callable[[Select[Any]], Select[Any]]
    ) -> Iterator[tuple[str, Read]]:
        values = self._values[what]
        engine, database = self._engine, self._database
        plain = refine(_PLAIN)
        compiled = Statement(plain)
        image = Statement(lambda dialect: select_document(dialect, task, refine))

        async def core(number: int) -> bytes:
            async with engine.connect() as connection:
                rows = (await connection.execute(plain, values[number % len(values)])).all()
            return orjson.dumps([dict(zip(_NAMES, row, strict=True)) for row in rows])

        async def driver(number: int) -> bytes:
            async with database.reading() as session:
                rows = await session.fetch(compiled, values[number % len(values)])
            return orjson.dumps([dict(zip(_NAMES, map(_plain, row), strict=True)) for row in rows])

        async def images(number: int) -> bytes:
            async with database.reading() as session:
                rows = await session.fetch(image, values[number % len(values)])
            return b"[%b]" % b",".join(
                row[0] if isinstance(row[0], bytes) else row[0].encode() for row in rows
            )

        yield "core", core
        yield "driver", driver
        yield "image", images

    async def _measure(self, read: Read) -> Cost:
        numbers = iter(range(-_READERS * 8, _READS))
        started: list[Cost] = []

        async def reader() -> None:
            for number in numbers:
                if number == 0:
                    started.append((time.process_time(), database_s(self._cluster.pid)))
                assert len(await read(number)) > len("[{}]")

        await asyncio.gather(*(reader() for _ in range(_READERS)))
        client_s = time.process_time()
        await asyncio.sleep(0.05)
        return (
            (client_s - started[0][0]) / _READS * 1e6,
            (database_s(self._cluster.pid) - started[0][1]) / _READS * 1e6,
        )


def _plain(value: Any) -> Any:  # noqa: ANN401 - any column's
    """JSON that the service has its driver hand through as bytes."""
    return orjson.Fragment(value) if isinstance(value, bytes) else value


def _render(name: str, costs: dict[tuple[str, str], Cost]) -> str:
    lines = ["", f"{name:<12} way      CPU µs (client + server)  ratio to core"]
    for (what, way), (client, server) in costs.items():
        ratio = sum(costs[what, "core"]) / (client + server)
        lines.append(
            f"{what:<12} {way:<8} {client + server:6.0f} ({client:6.0f} + {server:5.0f})"
            f"          {ratio:5.2f}"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
