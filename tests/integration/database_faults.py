"""Faults of a real database, as context managers that last for a block."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from tests.integration.cluster import Cluster

# What the kernel has no room in.
FULL = Path("/dev/full")
# Returns when they are gone: until then the service could take one out of its pool.
_DROP = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE application_name = 'todo-backend'"
)


class Weather:
    """One database of a cluster, and what befalls it."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self._cluster = cluster
        self._url = url
        self._name = url.rpartition("?")[0].rpartition("/")[2]

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """No statement on tasks ends: somebody has locked the table."""
        with psycopg.connect(self._url.replace("+psycopg", "")) as blocker:
            blocker.execute("LOCK TABLE task IN ACCESS EXCLUSIVE MODE")
            yield
            blocker.rollback()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """All its processes are stopped, and its sockets still there."""
        self._cluster.suspend()
        try:
            yield
        finally:
            self._cluster.resume()

    @contextlib.contextmanager
    def dropping(self) -> Iterator[None]:
        """Every connection is ended, again and again."""
        over = threading.Event()

        def drop() -> None:
            while not over.wait(0.02):
                self._drop()

        with self._meanwhile(drop, over):
            yield

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """There is no room for another row of the journal, which every change needs."""
        ((path,),) = self._query("SELECT pg_relation_filepath('journal')")
        file = self._cluster.root / "data" / str(path)
        kept = file.with_name(f"{file.name}.kept")
        self._cluster.stop()
        file.rename(kept)
        file.symlink_to(FULL)
        self._cluster.start()
        try:
            yield
        finally:
            self._cluster.stop()
            kept.rename(file)
            self._cluster.start()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """It takes no changes."""
        self._rule(f"ALTER DATABASE {self._name} SET default_transaction_read_only = on")
        self._drop()
        yield
        self._rule(f"ALTER DATABASE {self._name} RESET default_transaction_read_only")
        self._drop()

    @contextlib.contextmanager
    def crowded(self) -> Iterator[None]:
        """It has no connection left for the service."""
        self._rule(f"ALTER DATABASE {self._name} CONNECTION LIMIT 0")
        self._drop()
        yield
        self._rule(f"ALTER DATABASE {self._name} CONNECTION LIMIT -1")

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self._cluster.stop()
        yield
        self._cluster.start()

    @contextlib.contextmanager
    def restarting(self) -> Iterator[None]:
        """It stops and starts, again and again."""
        over = threading.Event()

        def restart() -> None:
            while not over.wait(0.2):
                self._cluster.stop()
                self._cluster.start()

        with self._meanwhile(restart, over):
            yield

    @contextlib.contextmanager
    def _meanwhile(self, act: Callable[[], None], over: threading.Event) -> Iterator[None]:
        thread = threading.Thread(target=act)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _drop(self) -> None:
        self._query(_DROP)

    def _rule(self, statement: str) -> None:
        """Run a statement in another database, which is never read-only."""
        self._cluster.query("/postgres?", statement)

    def _query(self, statement: str) -> list[tuple[object, ...]]:
        return self._cluster.query(self._url, statement)


@contextlib.contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Another process writes to the file of an embedded database, and does not end."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        yield
        blocker.execute("ROLLBACK")
