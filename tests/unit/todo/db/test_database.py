import asyncio
import os
from pathlib import Path

import pytest
from sqlalchemy import exc

from todo.config.settings import Settings
from todo.core.circuit_breaker import Outcome
from todo.core.errors import UnavailableError
from todo.db.database import Database, connect_arguments
from todo.db.errors import ConflictError, classify


class ServerError(Exception):
    """Error of a driver, with the code of the server."""

    def __init__(self, sqlstate: str | None, message: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def wrap(
    kind: type[exc.DBAPIError], sqlstate: str | None, message: str = "", *, lost: bool = False
) -> exc.DBAPIError:
    error = kind("SELECT 1", {}, ServerError(sqlstate, message))
    error.connection_invalidated = lost
    return error


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (wrap(exc.OperationalError, None, "connection refused"), Outcome.FAILURE),
        (wrap(exc.OperationalError, "08006"), Outcome.FAILURE),
        (wrap(exc.OperationalError, "57P01"), Outcome.FAILURE),
        (wrap(exc.OperationalError, "57P03"), Outcome.FAILURE),
        (wrap(exc.OperationalError, "53300"), Outcome.FAILURE),
        (wrap(exc.InterfaceError, None, "the connection is closed"), Outcome.FAILURE),
        (wrap(exc.DBAPIError, None, lost=True), Outcome.FAILURE),
        (wrap(exc.IntegrityError, "23505"), Outcome.SUCCESS),
        (wrap(exc.DataError, "22021"), Outcome.SUCCESS),
        (wrap(exc.OperationalError, "40001"), Outcome.SUCCESS),
        (wrap(exc.OperationalError, "40P01"), Outcome.SUCCESS),
        (wrap(exc.OperationalError, "57014"), Outcome.SUCCESS),
        (wrap(exc.InternalError, "25006"), Outcome.SUCCESS),
        (wrap(exc.OperationalError, "53100"), Outcome.SUCCESS),
        (wrap(exc.OperationalError, "53200"), Outcome.SUCCESS),
        (wrap(exc.OperationalError, None, "database or disk is full"), Outcome.IGNORED),
        (
            wrap(exc.OperationalError, None, "attempt to write a readonly database"),
            Outcome.IGNORED,
        ),
        (wrap(exc.OperationalError, None, "database is locked"), Outcome.IGNORED),
        (wrap(exc.OperationalError, None, "unable to open database file"), Outcome.FAILURE),
        (ConnectionError("each is closed as soon as it is made"), Outcome.FAILURE),
        (exc.TimeoutError("QueuePool limit reached"), Outcome.IGNORED),
        (ValueError("a defect of ours"), Outcome.IGNORED),
    ],
)
def test_only_a_lost_database_counts_as_failure(error: Exception, verdict: Outcome) -> None:
    assert classify(error) is verdict


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (wrap(exc.OperationalError, "57014"), "database-busy"),
        (wrap(exc.OperationalError, "55P03"), "database-busy"),
        (wrap(exc.OperationalError, "53200"), "database-busy"),
        (wrap(exc.OperationalError, None, "database is locked"), "database-busy"),
        (wrap(exc.InternalError, "25006"), "database-read-only"),
        (
            wrap(exc.OperationalError, None, "attempt to write a readonly database"),
            "database-read-only",
        ),
        (wrap(exc.OperationalError, "53100"), "database-full"),
        (wrap(exc.OperationalError, "58030"), "database-unavailable"),
        (wrap(exc.OperationalError, None, "database or disk is full"), "database-full"),
        (wrap(exc.ProgrammingError, "42P01"), "schema-mismatch"),
        (wrap(exc.ProgrammingError, "42703"), "schema-mismatch"),
        (wrap(exc.OperationalError, None, "no such table: task"), "schema-mismatch"),
        (wrap(exc.OperationalError, None, "no such column: color"), "schema-mismatch"),
        (
            wrap(exc.OperationalError, None, "task has no column named color"),
            "schema-mismatch",
        ),
        (wrap(exc.OperationalError, "53300"), "database-unavailable"),
        (wrap(exc.OperationalError, None, "disk I/O error"), "database-unavailable"),
        (ConnectionError("each is closed as soon as it is made"), "database-unavailable"),
    ],
)
def test_what_the_database_refuses_has_a_name(tmp_path: Path, error: Exception, code: str) -> None:
    async def scenario() -> None:
        database = Database(Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/todo.db"))
        try:
            async with database.reading():
                raise error
        finally:
            await database.dispose()

    with pytest.raises(UnavailableError) as caught:
        asyncio.run(scenario())

    assert caught.value.code == code
    assert int(caught.value.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("state", ["40001", "40P01", "23503"])
def test_what_may_be_tried_again_is_no_error_of_the_caller(tmp_path: Path, state: str) -> None:
    async def scenario() -> None:
        database = Database(Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/todo.db"))
        try:
            async with database.unit_of_work():
                raise wrap(exc.OperationalError, state)
        finally:
            await database.dispose()

    with pytest.raises(ConflictError):
        asyncio.run(scenario())


def test_the_server_hears_our_limits() -> None:
    settings = Settings(
        database_url="postgresql://u@h/d",
        database_statement_timeout_s=1.5,
        database_connect_timeout_s=3,
    )
    arguments = connect_arguments(settings)

    assert arguments["connect_timeout"] == 3
    assert "statement_timeout=1500" in arguments["options"]
    assert "idle_in_transaction_session_timeout=1500" in arguments["options"]
    assert arguments["application_name"] == "todo-backend"


def test_pgbouncer_gets_neither_prepared_statements_nor_session_parameters() -> None:
    arguments = connect_arguments(
        Settings(database_url="postgresql://u@h/d", database_pgbouncer=True)
    )

    assert arguments["prepare_threshold"] is None
    assert "options" not in arguments


def test_libpq_tells_every_server_how_texts_and_times_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = {"PGTZ": "UTC", "PGDATESTYLE": "ISO", "PGCLIENTENCODING": "UTF8"}
    for name in wanted:
        monkeypatch.setenv(name, "German")
    Database(Settings(database_url="postgresql://u@h/d"))

    assert {name: os.environ[name] for name in wanted} == wanted


def test_options_of_the_address_are_respected() -> None:
    settings = Settings(database_url="postgresql://u@h/d?options=-c%20statement_timeout%3D9")

    assert connect_arguments(settings)["options"].startswith(
        "-c statement_timeout=9 -c plan_cache_mode="
    )


def test_tasks_that_wait_for_a_connection_are_counted(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/todo.db",
        database_pool_size=1,
        database_pool_timeout_s=1,
    )

    async def scenario() -> list[int]:
        database = Database(settings)

        async def use() -> None:
            async with database.reading():
                pass

        counts = [database.waiters]
        async with database.reading():
            waiting = [asyncio.create_task(use()) for _ in range(2)]
            await asyncio.sleep(0.05)
            counts.append(database.waiters)
        await asyncio.gather(*waiting)
        counts.append(database.waiters)
        await database.dispose()
        return counts

    assert asyncio.run(scenario()) == [0, 2, 0]
