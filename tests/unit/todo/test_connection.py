import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.pool import QueuePool

from todo.connection import connect, create_async_engine, dispose

Result = TypeVar("Result")


def run(tmp_path: Path, act: Callable[[Engine], Awaitable[Result]]) -> Result:
    """Give an engine over a file to `act`; afterwards no connection may be out."""

    async def whole() -> Result:
        engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(tmp_path / "db")))
        try:
            async with connect(engine) as connection:
                await connection.execute(text("CREATE TABLE t (x)"))
                await connection.commit()
            return await act(engine)
        finally:
            assert isinstance(engine.pool, QueuePool)
            assert engine.pool.checkedout() == 0
            await dispose(engine)

    return asyncio.run(whole())


async def count_rows(engine: Engine) -> int:
    async with connect(engine) as connection:
        found = (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one()
        assert isinstance(found, int)
        return found


def test_postgresql_is_reached_through_the_asynchronous_dialect() -> None:
    engine = create_async_engine(URL.create("postgresql+psycopg", username="u", database="d"))

    assert engine.dialect.is_async


def test_what_was_committed_stays(tmp_path: Path) -> None:
    async def act(engine: Engine) -> int:
        async with connect(engine) as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            await connection.commit()
        return await count_rows(engine)

    assert run(tmp_path, act) == 1


def test_what_was_not_committed_is_rolled_back(tmp_path: Path) -> None:
    async def fail(engine: Engine) -> None:
        async with connect(engine) as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            raise ValueError("a defect")

    async def act(engine: Engine) -> int:
        with pytest.raises(ValueError, match="a defect"):
            await fail(engine)
        return await count_rows(engine)

    assert run(tmp_path, act) == 0


def test_options_reach_what_begins_the_transaction(tmp_path: Path) -> None:
    seen = []

    def note(connection: Connection) -> None:
        seen.append(connection.get_execution_options().get("todo_read_only"))

    async def act(engine: Engine) -> None:
        event.listen(engine, "begin", note)
        async with connect(engine, todo_read_only=True) as connection:
            await connection.execute(text("SELECT 1"))

    run(tmp_path, act)

    assert seen == [True]


def test_a_task_cancelled_while_it_closes_gives_its_connection_back_first(tmp_path: Path) -> None:
    lost = []

    async def act(engine: Engine) -> None:
        closing = asyncio.Event()
        event.listen(engine, "rollback", lambda _connection: closing.set())
        event.listen(engine, "invalidate", lambda *_details: lost.append("invalidated"))

        async def work() -> None:
            async with connect(engine) as connection:
                await connection.execute(text("SELECT 1"))

        task = asyncio.create_task(work())
        await closing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(tmp_path, act)

    assert lost == []
