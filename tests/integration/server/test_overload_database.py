"""One account that keeps the database busy does not keep it from the others."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.cluster import Cluster
from tests.integration.service import Service, open_service
from tests.integration.users import LISTS, TASKS, Person, invite, read
from tests.machine_clock import CLOCK, wait_until
from todo.db.connection import Connection

MANY = 40
POOL = 10
SHARE = POOL // 3
DEADLINE_S = 2
OPTIONS = {
    "TODO_DATABASE_MIGRATE": "startup",
    "TODO_DATABASE_POOL_SIZE": str(POOL),
    "TODO_RATE_LIMIT_PER_MINUTE": "0",
    "TODO_RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
}
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-backend'"
    " AND wait_event_type = 'Lock'"
)


@pytest.fixture(scope="module")
def service(own_cluster: Cluster) -> Iterator[Service]:
    with open_service({**OPTIONS, "TODO_DATABASE_URL": own_cluster.make_database()}) as service:
        service.wait_ready()
        yield service


@contextlib.contextmanager
def locked(service: Service, user: str) -> Iterator[None]:
    """Keep a user's account locked, as a long transaction does."""
    url = service.environment["TODO_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", [user])
        yield
        connection.rollback()


@contextlib.contextmanager
def attack(writers: list[Person], path: str, fields: dict[str, str]) -> Iterator[list[int]]:
    """Write at once as all of them; the statuses are there when the block has ended."""
    statuses: list[int] = []
    with ThreadPoolExecutor(len(writers)) as threads:
        answers = [threads.submit(each.http.post, path, json=fields) for each in writers]
        yield statuses
        statuses += [answer.result().status_code for answer in answers]


def use_as_another(service: Service) -> float:
    """Write and read as somebody else; return the seconds that the slowest request took."""
    slowest_s = 0.0
    with invite(service) as make_person:
        other = make_person("other")
        for method, body in [("POST", {"title": "t"}), ("GET", None)] * 5:
            began = CLOCK.now()
            assert other.http.request(method, TASKS, json=body).is_success
            slowest_s = max(slowest_s, CLOCK.now() - began)
    return slowest_s


def count_waiting(service: Service, cluster: Cluster) -> int:
    return int(cluster.query(service.environment["TODO_DATABASE_URL"], WAITING)[0][0])


def test_writes_of_one_locked_account_leave_connections_to_others(
    service: Service, own_cluster: Cluster
) -> None:
    with invite(service) as make_person:
        victim = make_person("victim")
        victim.create(TASKS, title="t")
        with locked(service, victim.name), attack([victim] * MANY, TASKS, {"title": "t"}) as done:
            wait_until(lambda: count_waiting(service, own_cluster) >= SHARE, "blocked", within_s=60)
            slowest_s = use_as_another(service)
            assert read(victim.http.get(TASKS))["items"]
            waiting = count_waiting(service, own_cluster)
        assert set(done) == {503}
        assert victim.http.post(TASKS, json={"title": "t"}).status_code == 201
    assert waiting <= SHARE
    assert slowest_s < 2


def test_collaborators_in_a_list_of_a_locked_account_leave_connections_to_others(
    service: Service, own_cluster: Cluster
) -> None:
    with invite(service) as make_person:
        victim = make_person("victim")
        made = victim.create(LISTS, name="l")
        guests = [make_person("guest") for _ in range(2 * POOL)]
        for guest in guests:
            victim.share(made["id"], guest, "write")
        fields = {"title": "t", "list_id": made["id"]}
        with locked(service, victim.name), attack(guests, TASKS, fields) as done:
            wait_until(lambda: count_waiting(service, own_cluster) >= SHARE, "blocked", within_s=60)
            slowest_s = use_as_another(service)
            waiting = count_waiting(service, own_cluster)
        assert set(done) == {503}
        assert guests[0].http.post(TASKS, json=fields).status_code == 201
    assert waiting <= SHARE
    assert slowest_s < 2


def test_those_who_waited_for_an_account_are_served_when_it_is_free(service: Service) -> None:
    with invite(service) as make_person:
        victim = make_person("victim")
        victim.create(TASKS, title="t")
        guests = [make_person("guest") for _ in range(POOL)]
        made = victim.create(LISTS, name="l")
        for guest in guests:
            victim.share(made["id"], guest, "write")
        fields = {"title": "t", "list_id": made["id"]}
        with (
            attack([*guests, *[victim] * POOL], TASKS, fields) as done,
            locked(service, victim.name),
        ):
            time.sleep(0.5)
        assert done == [201] * (2 * POOL)


@pytest.fixture
def hurried(own_cluster: Cluster) -> Iterator[Service]:
    """A service whose requests must be answered sooner than a statement ends."""
    options = {
        **OPTIONS,
        "TODO_DATABASE_URL": own_cluster.make_database(),
        "TODO_REQUEST_DEADLINE_S": str(DEADLINE_S),
    }
    with open_service(options) as service:
        service.wait_ready()
        yield service


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_frozen_database_overruns_no_deadline(
    hurried: Service, own_cluster: Cluster, method: str
) -> None:
    body = {"title": "t"} if method == "POST" else None
    with invite(hurried) as make_person:
        person = make_person(f"user-{uuid.uuid4()}")
        person.create(TASKS, title="t")

        own_cluster.suspend()
        try:
            began = CLOCK.now()
            answer = person.http.request(method, TASKS, json=body)
            took_s = CLOCK.now() - began
        finally:
            own_cluster.resume()
        assert (answer.status_code, answer.json()["code"]) == (503, "deadline-exceeded")
        assert took_s < DEADLINE_S + 1.5
        hurried.wait_ready()
        assert person.http.request(method, TASKS, json=body).is_success


def test_a_statement_that_a_frozen_server_does_not_take_in_ends_with_its_task(
    own_cluster: Cluster,
) -> None:
    async def scenario() -> float:
        connection = await Connection.connect(
            f"host={own_cluster.root} dbname=postgres user=postgres", autocommit=True
        )
        own_cluster.suspend()
        try:
            began = CLOCK.now()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await connection.execute("SELECT length(%s)", ["x" * 20_000_000])
            return CLOCK.now() - began
        finally:
            own_cluster.resume()
            await connection.close()

    assert asyncio.run(scenario()) < 2
