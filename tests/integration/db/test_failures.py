"""The database fails under requests; the backend stays up and recovers by itself."""

import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import Service, open_folder, open_service
from tests.machine_clock import CLOCK, wait_until

PATH = "/api/v1/tasks"
RESET_S = 1.0


@pytest.fixture(scope="module")
def shared_service(own_cluster: Cluster) -> Iterator[Service]:
    options = {
        "TODO_DATABASE_URL": own_cluster.make_database(),
        "TODO_DATABASE_MIGRATE": "startup",
        "TODO_DATABASE_POOL_SIZE": "4",
        "TODO_DATABASE_POOL_TIMEOUT_S": "1",
        "TODO_DATABASE_STATEMENT_TIMEOUT_S": "3",
        "TODO_DATABASE_BREAKER_RESET_S": str(RESET_S),
    }
    with open_service(options) as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Service:
    """One process for every failure: each test also shows that it recovered from the last."""
    shared_service.wait_ready()
    return shared_service


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client(service.token(f"user-{uuid.uuid4()}")) as client:
        yield client


def breaker_state(service: Service) -> str:
    for line in service.get_check("metrics").text.splitlines():
        if line.startswith('todo_breaker_state{breaker="database"') and line.endswith(" 1.0"):
            return line.rpartition('="')[2].partition('"')[0]
    return "none"


def assert_unavailable(response: httpx.Response, code: str) -> None:
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["code"] == code


def test_a_stopped_database_means_503_and_recovery_without_restart(
    service: Service, client: httpx.Client, own_cluster: Cluster
) -> None:
    assert client.post(PATH, json={"title": "before"}).status_code == 201
    own_cluster.stop()
    try:
        for _ in range(10):
            began = CLOCK.now()
            assert_unavailable(client.get(PATH), "database-unavailable")
            assert CLOCK.now() - began < 2.5
        assert breaker_state(service) == "open"
        ready, started, alive = map(service.get_check, ("readyz", "startupz", "livez"))
        assert_unavailable(ready, "database-unavailable")
        assert (started.status_code, alive.status_code) == (200, 200)
    finally:
        own_cluster.start()

    assert service.wait_ready() < RESET_S + 2
    assert [item["title"] for item in client.get(PATH).json()["items"]] == ["before"]
    assert service.process.poll() is None


def test_a_database_that_restarted_meanwhile_costs_no_request(
    service: Service, client: httpx.Client, own_cluster: Cluster
) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: client.get(PATH), range(8)))
    own_cluster.stop()
    own_cluster.start()

    assert [client.get(PATH).status_code for _ in range(6)] == [200] * 6
    assert breaker_state(service) == "closed"


def test_a_hanging_database_never_hangs_a_request(
    service: Service, client: httpx.Client, own_cluster: Cluster
) -> None:
    with ThreadPoolExecutor(8) as threads:
        # Every connection of the pool is open before the database hangs.
        for answer in threads.map(lambda _: client.get(PATH), range(16)):
            assert answer.status_code == 200
        # Longer than a good result is remembered.
        time.sleep(0.6)
        own_cluster.suspend()
        try:
            began = CLOCK.now()
            hanging = [threads.submit(client.get, PATH) for _ in range(8)]
            ready = service.get_check("readyz")
            assert service.get_check("livez").status_code == 200
            answers = [answer.result() for answer in hanging]
            # The statement's time-out of 3 s and one more; twice, where one waited its turn.
            assert CLOCK.now() - began < 9
        finally:
            own_cluster.resume()

    assert ready.status_code in {200, 503}
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["code"] for answer in answers} >= {"database-unavailable"}
    service.wait_ready()
    assert client.get(PATH).status_code == 200


def test_an_exhausted_pool_is_busy_and_trips_nothing(
    service: Service, client: httpx.Client
) -> None:
    path = client.post(PATH, json={"title": "wanted"}).headers["location"]
    url = service.environment["TODO_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as blocker, ThreadPoolExecutor(12) as threads:
        blocker.execute("SELECT 1 FROM task FOR UPDATE")
        answers = [threads.submit(client.patch, path, json={"title": "x"}) for _ in range(12)]
        time.sleep(0.5)
        assert service.get_check("livez").status_code == 200
        refused = [answer.result() for answer in answers]
        assert service.get_check("readyz").status_code == 200

    for answer in refused:
        assert_unavailable(answer, "database-busy")
    assert breaker_state(service) == "closed"
    assert client.patch(path, json={"title": "x"}).status_code == 200


def test_ended_connections_cost_at_most_the_requests_on_them(
    service: Service, client: httpx.Client, own_cluster: Cluster
) -> None:
    assert client.get(PATH).status_code == 200
    own_cluster.query(
        service.environment["TODO_DATABASE_URL"],
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        " WHERE application_name = 'todo-backend'",
    )

    assert client.get(PATH).status_code == 200


def test_a_missing_schema_is_told_from_a_missing_database(own_cluster: Cluster) -> None:
    with open_service({"TODO_DATABASE_URL": own_cluster.make_database()}) as service:
        service.wait_for("not ready")
        with service.client(service.token()) as client:
            assert_unavailable(client.get(PATH), "schema-mismatch")
        assert_unavailable(service.get_check("startupz"), "schema-mismatch")
        assert_unavailable(service.get_check("readyz"), "schema-mismatch")
        assert service.get_check("livez").status_code == 200


def test_started_without_a_database_it_waits_and_migrates(own_cluster: Cluster) -> None:
    url = own_cluster.make_database()
    own_cluster.stop()
    options = {"TODO_DATABASE_URL": url, "TODO_DATABASE_MIGRATE": "startup"}
    with open_service(options) as service:
        try:
            service.wait_for("started")
            assert service.get_check("startupz").status_code == 200
            assert_unavailable(service.get_check("readyz"), "database-unavailable")
        finally:
            own_cluster.start()
        service.wait_ready()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_acknowledged_task_survives_kill_9(own_cluster: Cluster, kind: str) -> None:
    options = (
        {"TODO_DATABASE_URL": own_cluster.make_database(), "TODO_DATABASE_MIGRATE": "startup"}
        if kind == "postgres"
        else {}
    )
    acknowledged: list[str] = []
    finished = threading.Event()

    def create_until_finished(client: httpx.Client) -> None:
        while not finished.is_set():
            try:
                response = client.post(PATH, json={"title": "keep me"})
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if response.status_code == 201:
                acknowledged.append(response.json()["id"])

    def wait_for_more(number: int) -> None:
        due = len(acknowledged) + number
        wait_until(lambda: len(acknowledged) > due, "creating", within_s=120)

    with open_folder() as folder, socket.create_server(("127.0.0.1", 0)) as public:
        address = f"http://127.0.0.1:{public.getsockname()[1]}"
        service = Service(folder, options, inherited=[public])
        try:
            service.wait_ready()
            headers = {"Authorization": f"Bearer {service.token()}"}
            with (
                ThreadPoolExecutor(4) as threads,
                httpx.Client(base_url=address, headers=headers, timeout=120) as client,
            ):
                for _ in range(4):
                    threads.submit(create_until_finished, client)
                try:
                    for _ in range(2):
                        wait_for_more(20)
                        service.stop(signal.SIGKILL)
                        service = Service(folder, options, inherited=[public])
                        service.wait_started()
                    wait_for_more(1)
                finally:
                    finished.set()
            stored: list[str] = []
            with httpx.Client(base_url=address, headers=headers) as client:
                cursor: dict[str, str] = {}
                while True:
                    page = client.get(PATH, params={"limit": "100", **cursor}).json()
                    stored += [item["id"] for item in page["items"]]
                    if page["next_cursor"] is None:
                        break
                    cursor = {"cursor": page["next_cursor"]}
        finally:
            service.stop(signal.SIGKILL)

    assert len(acknowledged) > 20
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
