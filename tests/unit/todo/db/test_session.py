import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import URL, Engine, bindparam, event, text
from sqlalchemy.pool import QueuePool

from todo.db.session import (
    PostgresSession,
    Session,
    SqliteSession,
    checkin,
    checkout,
    create_async_engine,
    dispose,
    is_idle,
)
from todo.db.statement import Statement

Result = TypeVar("Result")

CREATE = Statement(text("CREATE TABLE t (x)"))
INSERT = Statement(text("INSERT INTO t VALUES (:x)").bindparams(bindparam("x")))
SELECT = Statement(text("SELECT x FROM t ORDER BY x"))


def run(tmp_path: Path, act: Callable[[Engine], Awaitable[Result]]) -> Result:
    """Give an engine over a file to `act`; afterwards no connection may be out."""

    async def whole() -> Result:
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(tmp_path / "db")),
            paramstyle="named",
            pool_reset_on_return=None,
        )
        event.listen(engine, "connect", commit_each)
        try:
            async with connect(engine) as driver:
                await SqliteSession(engine, driver).run((CREATE, {}))
            return await act(engine)
        finally:
            assert isinstance(engine.pool, QueuePool)
            assert engine.pool.checkedout() == 0
            await dispose(engine)

    return asyncio.run(whole())


def commit_each(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None


@contextlib.asynccontextmanager
async def connect(engine: Engine) -> AsyncIterator[object]:
    pooled = await checkout(engine)
    try:
        yield pooled.driver_connection
    finally:
        await checkin(pooled, 5)


def begin(engine: Engine, driver: object) -> Session:
    return SqliteSession(engine, driver, transaction=True)


async def read(engine: Engine) -> list[int]:
    async with connect(engine) as driver:
        return [row[0] for row in await SqliteSession(engine, driver).fetch(SELECT, {})]


def test_postgresql_is_reached_through_the_asynchronous_dialect() -> None:
    engine = create_async_engine(URL.create("postgresql+psycopg", username="u", database="d"))

    assert engine.dialect.is_async


def test_what_was_committed_stays(tmp_path: Path) -> None:
    async def act(engine: Engine) -> list[int]:
        async with connect(engine) as driver:
            session = begin(engine, driver)
            await session.run((INSERT, {"x": 1}), (INSERT, {"x": 2}))
            await session.commit((INSERT, {"x": 3}))
        return await read(engine)

    assert run(tmp_path, act) == [1, 2, 3]


def test_what_was_not_committed_is_rolled_back(tmp_path: Path) -> None:
    async def fail(engine: Engine) -> None:
        async with connect(engine) as driver:
            await begin(engine, driver).run((INSERT, {"x": 1}))
            raise ValueError("a defect")

    async def act(engine: Engine) -> list[int]:
        with pytest.raises(ValueError, match="a defect"):
            await fail(engine)
        return await read(engine)

    assert run(tmp_path, act) == []


def test_a_transaction_whose_start_was_cancelled_does_not_stay_open(tmp_path: Path) -> None:
    async def start(engine: Engine) -> None:
        async with connect(engine) as driver:
            await begin(engine, driver).run((INSERT, {"x": 1}))

    async def act(engine: Engine) -> list[int]:
        for _ in range(20):
            starting = asyncio.create_task(start(engine))
            # The statement is on its way to the thread.
            await asyncio.sleep(0)
            starting.cancel()
            await asyncio.wait({starting})
            async with connect(engine) as driver:
                assert not driver.in_transaction  # type: ignore[attr-defined]
                await begin(engine, driver).run((SELECT, {}))
        return await read(engine)

    assert run(tmp_path, act) == []


def test_without_a_transaction_each_statement_stays_by_itself(tmp_path: Path) -> None:
    async def act(engine: Engine) -> list[int]:
        async with connect(engine) as driver:
            await SqliteSession(engine, driver).run((INSERT, {"x": 1}))
        return await read(engine)

    assert run(tmp_path, act) == [1]


def test_a_missing_value_is_an_error_and_no_null(tmp_path: Path) -> None:
    async def act(engine: Engine) -> None:
        async with connect(engine) as driver:
            with pytest.raises(sqlite3.ProgrammingError):
                await SqliteSession(engine, driver).run((INSERT, {}))

    run(tmp_path, act)


@dataclass
class Hanging:
    """A driver whose server answers nothing any more."""

    in_transaction: bool = True
    abandoned: asyncio.Future[None] | None = None

    async def rollback(self) -> None:
        await asyncio.Event().wait()


@dataclass
class Pooled:
    """A pooled connection that remembers how it ended."""

    driver_connection: Hanging
    ended: str = ""

    def close(self) -> None:
        self.ended = "returned"

    def invalidate(self) -> None:
        self.ended = "closed"


@pytest.mark.parametrize("where", ["statement", "rollback"])
def test_a_connection_whose_server_does_not_answer_is_closed(where: str) -> None:
    async def scenario() -> tuple[bool, bool, str]:
        abandoned = asyncio.get_running_loop().create_future() if where == "statement" else None
        pooled: Any = Pooled(Hanging(in_transaction=not abandoned, abandoned=abandoned))
        return is_idle(pooled), await checkin(pooled, 0.01), pooled.ended

    assert asyncio.run(scenario()) == (False, False, "closed")


def test_a_connection_whose_statement_was_ended_goes_back_to_the_pool() -> None:
    async def scenario() -> tuple[bool, str]:
        abandoned = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(abandoned.set_result, None)
        pooled: Any = Pooled(Hanging(in_transaction=False, abandoned=abandoned))
        return await checkin(pooled, 60), pooled.ended

    assert asyncio.run(scenario()) == (True, "returned")


class Frozen:
    """A connection to a PostgreSQL that answers nothing, and its cursor."""

    autocommit = False

    def __init__(self, near: socket.socket) -> None:
        self._near = near

    def fileno(self) -> int:
        return self._near.fileno()

    def raw_cursor(self) -> "Frozen":
        return self

    async def execute(self, _text: bytes, _values: object) -> None:
        await asyncio.get_running_loop().sock_recv(self._near, 1)
        raise ConnectionError


def test_a_server_that_does_not_answer_one_of_many_rows_is_cut_off() -> None:
    async def scenario(near: socket.socket) -> None:
        engine = create_async_engine(URL.create("postgresql+psycopg", database="d"))
        near.setblocking(False)  # noqa: FBT003 - the only way to name it
        session = PostgresSession(engine, Frozen(near), transaction=True, timeout_s=0.01)
        await session.run_many(INSERT, [{"x": 1}, {"x": 2}])

    near, far = socket.socketpair()
    with near, far, pytest.raises(ConnectionError):
        asyncio.run(asyncio.wait_for(scenario(near), 60))
