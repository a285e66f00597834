import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from todo.config.settings import Settings
from todo.db import sqlite
from todo.db.database import Database
from todo.db.migrate import migrate
from todo.db.sqlite import is_busy, prepare_connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "todo.db"


@pytest.fixture
def release(path: Path) -> Iterator[Callable[[], None]]:
    """Ends the change that another connection makes to the new database."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def release() -> None:
        if other.in_transaction:
            other.execute("ROLLBACK")

    yield release
    release()
    other.close()


@pytest.fixture
def soon(release: Callable[[], None]) -> Iterator[None]:
    """Ends it while the test waits for it."""
    timer = threading.Timer(0.2, release)
    timer.start()
    yield
    timer.join()


@pytest.mark.usefixtures("release")
def test_sqlite_does_not_wait_for_the_journal_mode_by_itself(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=60)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    assert is_busy(caught.value)


@pytest.mark.usefixtures("soon")
def test_a_new_connection_waits_for_the_journal_mode(path: Path) -> None:
    connection = sqlite3.connect(path)
    prepare_connection(connection, None)
    mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert mode == ("wal",)


@pytest.mark.usefixtures("soon")
def test_the_pool_waits_for_the_journal_mode(path: Path) -> None:
    async def fetch_revision() -> str:
        database = Database(Settings(database_url=f"sqlite+aiosqlite:///{path}"))
        try:
            return (await database.fetch_schema_version()).revision
        finally:
            await database.dispose()

    assert asyncio.run(fetch_revision()) == ""


def test_a_migration_waits_longer_than_the_busy_timeout(
    path: Path, release: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.02)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        release()

    assert migrate(Settings(database_url=f"sqlite:///{path}"), say) == ""
    assert said == ["waiting for another process that is changing the database"]


def test_other_errors_of_the_driver_are_not_about_a_lock() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT 1 FROM nowhere")
    connection.close()
    assert not is_busy(caught.value)
    assert not is_busy(None)
