"""The watch over a migration, in a real server: who waits for it, and whom it waits for."""

from __future__ import annotations

import contextlib
import re
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from deploy.errors import DeployError
from deploy.stack import database
from deploy.update import migration
from deploy.update.faults import FaultError
from deploy.update.migration import Watch
from tests.integration.cluster import BACKEND_ROLE, OWNER_ROLE, name_of
from tests.machine_clock import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.cluster import Cluster

    Connection = psycopg.Connection[tuple[Any, ...]]
    Open = Callable[[str], Connection]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only the tests move."""
    now = [0.0]
    monkeypatch.setattr(migration, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def connect(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a session of a role in a database with one table; the watch looks at that one."""
    url = cluster.make_database()
    cluster.hand_over(url)
    cluster.query(url, "CREATE TABLE task (id int)")
    cluster.query(url, f"GRANT ALL ON task TO {BACKEND_ROLE}, {OWNER_ROLE}")

    def query(*statements: str) -> str:
        rows = [row for each in statements for row in cluster.query(url, each)]
        return "\n".join("|".join(map(str, row)) for row in rows)

    monkeypatch.setattr(database, "query", query)
    with contextlib.ExitStack() as stack:

        def connect(role: str) -> Connection:
            at = f"host={cluster.root} dbname={name_of(url)} user={role} application_name={role}"
            return stack.enter_context(contextlib.closing(psycopg.connect(at)))

        yield connect


def wait_for_a_lock(session: Connection, statement: bytes) -> threading.Thread:
    """Run a statement that waits; the thread ends with it, whether it fails or not."""

    def run() -> None:
        with contextlib.suppress(psycopg.Error):
            session.execute(statement)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for(met: Callable[[], bool]) -> None:
    wait_until(met, "a session that waits", within_s=60)


def test_requests_that_wait_for_a_migration_end_it(connect: Open, clock: list[float]) -> None:
    owner, backend = connect(OWNER_ROLE), connect(BACKEND_ROLE)
    watch = Watch()
    owner.execute("LOCK TABLE task")
    # What nobody waits for may take any time.
    assert watch.look() == ""
    clock[0] += 600
    assert watch.look() == ""
    waiting = wait_for_a_lock(backend, b"SELECT * FROM task")
    wait_for(lambda: watch.look() == "requests wait for it")
    # After its time a request ends, and the next one waits a moment later.
    clock[0] += 6
    backend.cancel_safe()
    waiting.join()
    backend.rollback()
    assert watch.look() == ""
    waiting = wait_for_a_lock(backend, b"SELECT * FROM task")
    wait_for(lambda: watch.look() == "requests wait for it")
    clock[0] += 5
    with pytest.raises(FaultError, match="has let requests wait for 11 s") as caught:
        watch.look()
    assert caught.value.of_image
    # Its program is stopped then; what the server does for it has to end as well.
    migration.end_sessions()
    waiting.join()
    assert backend.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
    with pytest.raises(psycopg.OperationalError):
        owner.execute("SELECT 1")


def test_a_migration_that_waits_names_who_is_in_the_way_and_is_ended_in_the_end(
    connect: Open, clock: list[float]
) -> None:
    owner, backend = connect(OWNER_ROLE), connect(BACKEND_ROLE)
    watch = Watch()
    backend.execute("SELECT * FROM task")
    waiting = wait_for_a_lock(owner, b"LOCK TABLE task")
    said = rf"waits for PID {backend.info.backend_pid} \(todo, todo, idle in transaction\), in a "
    wait_for(lambda: re.match(said, watch.look()) is not None)
    # Who queues behind it does not wait for it, as it gives up soon.
    queued = connect(BACKEND_ROLE)
    behind = wait_for_a_lock(queued, b"SELECT * FROM task")
    for _ in range(30):
        clock[0] += 10
        assert re.match(said, watch.look())
    clock[0] += 10
    with pytest.raises(FaultError, match="its migration has waited 310 s for PID") as caught:
        watch.look()
    assert not caught.value.of_image
    backend.rollback()
    waiting.join()
    owner.rollback()
    behind.join()


def test_a_migration_that_got_on_may_wait_again(connect: Open, clock: list[float]) -> None:
    owner, backend = connect(OWNER_ROLE), connect(BACKEND_ROLE)
    watch = Watch()
    for _ in range(2):
        backend.execute("SELECT * FROM task")
        waiting = wait_for_a_lock(owner, b"LOCK TABLE task")
        wait_for(lambda: watch.look().startswith("waits for PID"))
        backend.rollback()
        waiting.join()
        owner.rollback()
        clock[0] += 200
        assert watch.look() == ""


def test_without_the_database_the_watch_has_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> str:
        raise DeployError("no such container")

    monkeypatch.setattr(database, "query", fail)
    assert Watch().look() == ""
    migration.end_sessions()
