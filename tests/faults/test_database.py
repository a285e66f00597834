"""Faults of the database."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.table import Row
from tests.faults.traffic import Stopwatch, UnitWatch, is_ready, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.table import Record
    from tests.system.stack_in_lab import Stack

_LASTS_S = 10.0
"""How long a fault lasts that somebody has to end."""
_CONNECT_ALL = (
    "for each in $(seq 80); do psql --host=/run/todo --username=postgres --dbname=todo"
    " --no-psqlrc --quiet --command='SELECT pg_sleep(20)' & done; wait"
)
_END_CONNECTIONS = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
    " WHERE application_name = 'todo-backend'"
)


def _psql(stack: Stack, statement: str, database: str = "postgres") -> None:
    words = ("psql", "--host=/run/todo", "--username=postgres", f"--dbname={database}")
    stack.podman("exec", "todo-db", *words, "--no-psqlrc", f"--command={statement}")


def _signal(stack: Stack, name: str) -> None:
    """Send a signal to every process of the database."""
    pids = stack.podman("top", "todo-db", "hpid").stdout.split()[1:]
    stack.lab.run(["kill", "-s", name, *pids], user="root", check=False)


def test_killed(stack: Stack, record: Record) -> None:
    watch = UnitWatch(stack, "todo-db")
    with load(stack) as traffic:
        _signal(stack, "KILL")
        clock = Stopwatch()
        noticed = clock.wait(watch.has_reacted, "noticed")
        healed = clock.wait(watch.is_healed, "healed")
    remedy = "systemd starts it again, it recovers from its WAL; the backend reconnects"
    record(Row("database killed", noticed, healed, traffic.report, remedy))


def test_hanging(stack: Stack, record: Record) -> None:
    watch = UnitWatch(stack, "todo-db")
    with load(stack) as traffic:
        _signal(stack, "STOP")
        clock = Stopwatch()
        noticed = clock.wait(lambda: not is_ready(stack), "noticed")
        healed = clock.wait(watch.is_healed, "healed")
    remedy = "the breaker answers 503; the health check kills it, systemd starts it again"
    record(Row("database hangs", noticed, healed, traffic.report, remedy))


def test_read_only(stack: Stack, record: Record, can_write: Callable[[], bool]) -> None:
    setting = "default_transaction_read_only"
    with load(stack) as traffic:
        _psql(stack, f"ALTER DATABASE todo SET {setting} = on")
        _psql(stack, _END_CONNECTIONS)
        clock = Stopwatch()
        noticed = clock.wait(lambda: not can_write(), "noticed")
        time.sleep(_LASTS_S)
        _psql(stack, f"ALTER DATABASE todo RESET {setting}")
        _psql(stack, _END_CONNECTIONS)
        clock = Stopwatch()
        healed = clock.wait(can_write, "healed")
    remedy = "reads are served, writes get 503 until somebody ends it; then new connections"
    record(Row("database read-only", noticed, healed, traffic.report, remedy))


def test_connection_storm(stack: Stack, record: Record, can_write: Callable[[], bool]) -> None:
    argv = stack.lab.argv(["podman", "exec", "todo-db", "/bin/sh", "-c", _CONNECT_ALL])
    with load(stack) as traffic:
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as storm:
            clock = Stopwatch()
            noticed = None
            while storm.poll() is None:
                if noticed is None and not is_ready(stack):
                    noticed = clock.seconds
                time.sleep(0.1)
        clock = Stopwatch()
        healed = clock.wait(can_write, "healed")
    remedy = "the backend keeps the connections of its pool; others are refused by the database"
    record(Row("connection storm", noticed, healed, traffic.report, remedy))


def test_lost_socket(stack: Stack, record: Record) -> None:
    watch = UnitWatch(stack, "todo-db")
    with load(stack) as traffic:
        volume = stack.podman("volume", "inspect", "--format={{.Mountpoint}}", "todo-socket")
        folder = volume.stdout.strip()
        stack.podman("unshare", "find", folder, "-mindepth", "1", "-delete")
        clock = Stopwatch()
        noticed = clock.wait(watch.has_reacted, "noticed")
        healed = clock.wait(watch.is_healed, "healed")
    remedy = "the health check misses the socket and kills the database, which makes it again"
    record(Row("socket volume emptied", noticed, healed, traffic.report, remedy))


@pytest.fixture
def can_write(stack: Stack) -> Iterator[Callable[[], bool]]:
    """Whether a task can be created at this moment."""
    with stack.client("prober") as client:
        yield lambda: client.post("/api/v1/tasks", json={"title": "probe"}).status_code == 201
