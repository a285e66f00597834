"""Writes that are in each other's way are tried again; pages stay whole while others write."""

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import Service, open_service
from tests.machine_clock import wait_until

PATH = "/api/v1/tasks"
OPTIONS = {
    "TODO_DATABASE_MIGRATE": "startup",
    "TODO_RATE_LIMIT_PER_MINUTE": "0",
    "TODO_RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
}


@pytest.fixture(scope="module")
def postgres(own_cluster: Cluster) -> Iterator[Service]:
    options = {**OPTIONS, "TODO_DATABASE_URL": own_cluster.make_database()}
    with open_service(options) as service:
        service.wait_ready()
        yield service


@pytest.fixture(params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    if request.param == "postgres":
        yield request.getfixturevalue("postgres")
        return
    with open_service(OPTIONS) as service:
        service.wait_ready()
        yield service


def count_retries(service: Service) -> float:
    text = service.get_check("metrics").text
    found = re.search(r"^todo_database_retries_total(?:{.*})? (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


@contextlib.contextmanager
def intruder(service: Service) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Another program with a transaction of its own."""
    url = service.environment["TODO_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        yield connection
        connection.rollback()


def wait_for_lock(service: Service, cluster: Cluster) -> None:
    """Wait until a statement of the service waits for a lock."""
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'todo-backend'"
        " AND wait_event_type = 'Lock'"
    )
    for _ in range(500):
        if cluster.query(service.environment["TODO_DATABASE_URL"], waiting):
            return
        time.sleep(0.01)
    pytest.fail("nothing waits for a lock")


def test_a_deadlock_is_tried_again(postgres: Service, own_cluster: Cluster) -> None:
    user = f"user-{uuid.uuid4()}"
    with (
        postgres.client(postgres.token(user)) as client,
        ThreadPoolExecutor(1) as thread,
        intruder(postgres) as other,
    ):
        path = client.post(PATH, json={"title": "t"}).headers["location"]
        before = count_retries(postgres)
        # The one that has waited for a second looks for a deadlock, and is ended. On a slow
        # machine the backend may have looked before there was one.
        for attempt in range(20):
            other.execute("SELECT 1 FROM task WHERE owner = %s FOR UPDATE", [user])
            # Locks the account, then waits for the task; the other now does the opposite.
            writing = thread.submit(client.patch, path, json={"title": f"u{attempt}"})
            wait_for_lock(postgres, own_cluster)
            with contextlib.suppress(psycopg.errors.DeadlockDetected):
                other.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", [user])
            other.rollback()

            answer = writing.result()
            assert (answer.status_code, answer.json()["version"]) == (200, attempt + 2)
            if count_retries(postgres) > before:
                break
    assert count_retries(postgres) == before + 1


def test_a_serialization_failure_is_tried_again(postgres: Service, own_cluster: Cluster) -> None:
    url = postgres.environment["TODO_DATABASE_URL"]
    name = url.rpartition("?")[0].rpartition("/")[2]
    drop = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'todo'"
    own_cluster.query(
        url, f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
    )
    own_cluster.query(url, drop)
    user = f"user-{uuid.uuid4()}"
    try:
        with (
            postgres.client(postgres.token(user)) as client,
            ThreadPoolExecutor(1) as thread,
            intruder(postgres) as other,
        ):
            path = client.post(PATH, json={"title": "t"}).headers["location"]
            before = count_retries(postgres)
            other.execute("UPDATE account SET zone = zone WHERE owner = %s", [user])
            writing = thread.submit(client.patch, path, json={"title": "u"})
            wait_for_lock(postgres, own_cluster)
            other.commit()

            answer = writing.result()
            assert (answer.status_code, answer.json()["version"]) == (200, 2)
        assert count_retries(postgres) == before + 1
    finally:
        own_cluster.query(url, f"ALTER DATABASE {name} RESET default_transaction_isolation")
        own_cluster.query(url, drop)


def test_who_is_in_the_way_for_too_long_is_told(postgres: Service) -> None:
    user = f"user-{uuid.uuid4()}"
    with postgres.client(postgres.token(user)) as client, intruder(postgres) as other:
        assert client.post(PATH, json={"title": "t"}).status_code == 201
        other.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", [user])
        answer = client.post(PATH, json={"title": "u"})

        assert (answer.status_code, answer.json()["code"]) == (503, "database-busy")
        assert int(answer.headers["retry-after"]) >= 1
        other.rollback()
        assert client.post(PATH, json={"title": "u"}).status_code == 201


def test_a_locked_owner_delays_nobody_elses_reminders(postgres: Service) -> None:
    names = [f"user-{uuid.uuid4()}" for _ in range(2)]
    # A minute before it is due, which is in five seconds.
    due_at = (datetime.now(UTC) + timedelta(seconds=65)).isoformat()
    task = {"title": "t", "due_at": due_at, "reminders": [1]}
    with (
        postgres.client(postgres.token(names[0])) as locked,
        postgres.client(postgres.token(names[1])) as other,
        intruder(postgres) as lock,
    ):
        assert locked.post(PATH, json=task).status_code == 201
        assert other.post(PATH, json=task).status_code == 201
        lock.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", [names[0]])

        wait_until(lambda: "remind" in list_operations(other), "reminded", within_s=120)
        assert "remind" not in list_operations(locked)
        lock.rollback()


def list_operations(client: httpx.Client) -> list[str]:
    items = client.get("/api/v1/changes").json()["items"]
    return [change["operation"] for change in items]


def read_all(client: httpx.Client, **question: str) -> list[str]:
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(PATH, params={"limit": "3", **question, **cursor}).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize(
    "question",
    [
        {"order": "desc"},
        {"order": "asc"},
        {"status": "open"},
        {"priority": "high"},
        {"tag": "kept"},
        {"q": "kept"},
        {"sort": "title"},
    ],
    ids=str,
)
def test_pages_neither_skip_nor_repeat_while_others_write(
    service: Service, question: dict[str, str]
) -> None:
    fields = {"title": "kept", "priority": "high", "tags": ["kept"]}
    over = threading.Event()
    with service.client(service.token(f"user-{uuid.uuid4()}")) as client:

        def make(count: int, title: str) -> list[str]:
            operations = [{"op": "create", "task": {**fields, "title": title}}] * count
            answer = client.post(f"{PATH}/batch", json={"operations": operations})
            assert answer.status_code == 200, answer.text
            return [each["task"]["id"] for each in answer.json()["results"]]

        kept: list[str] = []
        passing: list[str] = []
        for _ in range(6):
            kept += make(5, "kept")
            passing += make(5, "kept passing")

        def disturb() -> None:
            while not over.is_set():
                if passing:
                    client.delete(f"{PATH}/{passing.pop(len(passing) // 2)}")
                passing.extend(make(2, "kept passing"))

        with ThreadPoolExecutor(1) as thread:
            disturbing = thread.submit(disturb)
            try:
                readings = [read_all(client, **question) for _ in range(3)]
            finally:
                over.set()
            disturbing.result()

    for found in readings:
        assert len(found) == len(set(found))
        seen = [each for each in found if each in set(kept)]
        assert sorted(seen) == sorted(kept)
