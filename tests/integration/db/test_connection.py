"""Waiting of psycopg's connection under the event loop, on a real PostgreSQL."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from tests.integration.cluster import Cluster
from tests.machine_clock import CLOCK
from todo.db.connection import Connection, PooledConnection

Scenario = Callable[[Connection], Awaitable[None]]


def run(cluster: Cluster, scenario: Scenario) -> None:
    """Run a scenario with a connection of its own; no complaint of the loop may remain."""
    complaints: list[dict[str, Any]] = []

    async def all_of_it() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        connection = await connect(cluster)
        try:
            await scenario(connection)
        finally:
            await connection.close()

    asyncio.run(all_of_it())
    assert complaints == []


async def connect(cluster: Cluster) -> Connection:
    return await Connection.connect(
        f"host={cluster.root} dbname=postgres user=postgres", autocommit=True
    )


async def fetch(connection: Connection, statement: str, *values: object) -> list[Any]:
    cursor = await connection.execute(statement.encode(), values or None)
    return [row[0] for row in await cursor.fetchall()]


def test_statements_follow_one_another(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        for number in range(20):
            assert await fetch(connection, "SELECT %s::int", number) == [number]

    run(cluster, scenario)


def test_an_answer_in_many_parts_is_read_to_its_end(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        rows = await fetch(connection, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        assert len(rows) == 20_000

    run(cluster, scenario)


def test_a_question_that_does_not_fit_the_socket_is_sent_to_its_end(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        text = "x" * 20_000_000
        assert await fetch(connection, "SELECT length(%s::text)", text) == [len(text)]
        assert await fetch(connection, "SELECT 1") == [1]

    run(cluster, scenario)


def test_an_error_of_the_server_leaves_the_connection_usable(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        for _ in range(3):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await connection.execute("SELECT 1 / 0")
            assert await fetch(connection, "SELECT 1") == [1]

    run(cluster, scenario)


def test_a_cancelled_statement_is_cancelled_on_the_server(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        began = CLOCK.now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.execute("SELECT pg_sleep(30)")
        assert CLOCK.now() - began < 5
        assert await fetch(connection, "SELECT 1") == [1]

    run(cluster, scenario)


def test_a_statement_cancelled_as_its_answer_comes_leaves_the_connection_usable(
    cluster: Cluster,
) -> None:
    async def scenario(connection: Connection) -> None:
        for delay_s in range(40):
            task = asyncio.create_task(fetch(connection, "SELECT 1 / (random() < 2)::int"))
            await asyncio.sleep(delay_s / 50_000)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert await fetch(connection, "SELECT 1") == [1]

    run(cluster, scenario)


def test_a_server_that_leaves_in_the_middle_is_an_error(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        (pid,) = await fetch(connection, "SELECT pg_backend_pid()")
        asyncio.get_running_loop().call_later(0.1, terminate, cluster, pid)
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT pg_sleep(30)")
        assert connection.broken

    run(cluster, scenario)


def test_an_idle_connection_that_the_server_closes_keeps_nobody_busy(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        (pid,) = await fetch(connection, "SELECT pg_backend_pid()")
        terminate(cluster, pid)
        began_s = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - began_s < 0.1
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT 1")

    run(cluster, scenario)


@pytest.mark.parametrize("way", ["close", "break off"])
def test_a_descriptor_used_again_is_watched_again(cluster: Cluster, way: str) -> None:
    async def scenario(connection: Connection) -> None:
        (pid,) = await fetch(connection, "SELECT pg_backend_pid()")
        descriptor = connection.fileno()
        if way == "close":
            await connection.close()
        else:
            terminate(cluster, pid)
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT 1")
        following = await connect(cluster)
        assert following.fileno() == descriptor
        assert await fetch(following, "SELECT 1") == [1]
        await following.close()

    run(cluster, scenario)


def test_other_waits_are_psycopgs_own(cluster: Cluster) -> None:
    async def scenario(connection: Connection) -> None:
        await connection.execute("LISTEN news")
        await connection.execute("NOTIFY news, 'here'")
        heard = [note.payload async for note in connection.notifies(timeout=60, stop_after=1)]
        assert heard == ["here"]
        async with connection.pipeline():
            cursors = [await connection.execute("SELECT %s::int", [n]) for n in range(5)]
        assert [(await cursor.fetchall()) for cursor in cursors] == [[(n,)] for n in range(5)]
        assert await fetch(connection, "SELECT 1") == [1]

    run(cluster, scenario)


def terminate(cluster: Cluster, pid: int) -> None:
    cluster.query("postgresql://x/postgres?x", f"SELECT pg_terminate_backend({pid}, 5000)")


def test_behind_a_pooler_a_cancelled_statement_closes_its_connection(cluster: Cluster) -> None:
    async def scenario() -> None:
        address = f"host={cluster.root} dbname=postgres user=postgres"
        connection = await PooledConnection.connect(address, autocommit=True)
        waiting = asyncio.create_task(fetch(connection, "SELECT pg_sleep(30)"))
        await asyncio.sleep(0.1)
        began = CLOCK.now()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert connection.abandoned is not None
        await asyncio.wait({connection.abandoned})
        assert CLOCK.now() - began < 1
        assert connection.closed
        await connection.close()

    asyncio.run(scenario())
