"""The backend behind PgBouncer in transaction mode, as docs/database.md sets it up."""

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster
from tests.integration.pooler import PASSWORD, Pooler, open_pooler
from tests.integration.service import Service, make_environment, open_service, run_admin
from tests.integration.users import TASKS, MakePerson, code, invite
from tests.integration.walkthrough import take_tour
from todo.db.migrate import LOCK_KEY

GUIDE = Path(__file__).parents[3] / "docs" / "database.md"
CLIENTS = 24
# Less than the statement's own time-out, so that statements are given up.
DEADLINE_S = 3


@pytest.fixture(scope="module")
def url(own_cluster: Cluster) -> str:
    """A database whose role has the settings of the guide, and an unfortunate time zone."""
    url = own_cluster.make_database()
    (commands,) = re.findall(r"```\n(ALTER ROLE .+?)```", GUIDE.read_text(), re.DOTALL)
    for command in commands.splitlines():
        own_cluster.query(url, command)
    own_cluster.query(url, "ALTER ROLE todo SET timezone = 'Europe/Berlin'")
    return url


@pytest.fixture(scope="module")
def pooler(own_cluster: Cluster) -> Iterator[Pooler]:
    with open_pooler(own_cluster) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def options(pooler: Pooler, url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("bouncer")
    password = folder / "password"
    password.write_text(PASSWORD)
    options = {
        "TODO_DATABASE_URL": pooler.route(url),
        "TODO_DATABASE_PASSWORD_FILE": str(password),
        "TODO_DATABASE_PGBOUNCER": "true",
        "TODO_DATABASE_POOL_SIZE": str(CLIENTS),
        "TODO_DATABASE_BREAKER_RESET_S": "1",
    }
    migrated = run_admin(make_environment(folder, options), "migrate")
    assert migrated.returncode == 0, migrated.stderr
    return options


@pytest.fixture(scope="module")
def shared_service(options: dict[str, str]) -> Iterator[Service]:
    with open_service(options) as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Service:
    """One process for all tests: each also shows that it recovered from the last."""
    shared_service.wait_ready()
    return shared_service


@pytest.fixture
def make_person(service: Service) -> Iterator[MakePerson]:
    with invite(service) as make:
        yield make


def test_everything_works_and_is_in_utc_whatever_zone_the_role_has(
    service: Service, make_person: MakePerson, tmp_path: Path
) -> None:
    take_tour(service, make_person("alice"), tmp_path)


def test_many_clients_share_few_connections(
    make_person: MakePerson, own_cluster: Cluster, url: str
) -> None:
    def work(number: int) -> None:
        person = make_person(f"user{number}")
        for round_number in range(6):
            task = person.create(TASKS, title=f"t{round_number}", due_at="2027-01-01T12:00:00Z")
            assert task["due_at"] == "2027-01-01T12:00:00.000000+00:00"
            at = f"{TASKS}/{task['id']}"
            assert person.http.patch(at, json={"title": "x"}).status_code == 200
            assert person.http.get(TASKS, params={"q": "x"}).json()["items"][0]["id"] == task["id"]

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(work, range(CLIENTS)))

    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'todo'"
    assert own_cluster.query(url, query) == [(2,)]


def test_the_settings_of_the_guide_reach_the_server(pooler: Pooler, url: str) -> None:
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "plan_cache_mode")
    with pooler.connect(url) as connection:
        found = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in names]

    assert found == [("5s",), ("5s",), ("force_generic_plan",)]


def test_statements_that_are_given_up_do_no_harm_to_it(
    options: dict[str, str], pooler: Pooler, own_cluster: Cluster, url: str
) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    with (
        open_service({**options, "TODO_REQUEST_DEADLINE_S": str(DEADLINE_S)}) as service,
        service.client(service.token()) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        service.wait_ready()
        with own_cluster.connect(name) as blocker, blocker.transaction():
            blocker.execute("LOCK TABLE task")
            answers = list(threads.map(lambda _: client.get(TASKS), range(8)))

        assert {code(answer) for answer in answers} == {(503, "deadline-exceeded")}
        assert pooler.is_running
        assert "cancel request" not in pooler.log
        service.wait_ready()
        assert client.get(TASKS).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restarted_under_load_it_costs_a_503_at_worst(
    service: Service, make_person: MakePerson, pooler: Pooler, number: signal.Signals
) -> None:
    end = time.monotonic() + 4

    def work(_number: int) -> Counter[int]:
        person = make_person("busy")
        seen: Counter[int] = Counter()
        while time.monotonic() < end:
            answer = person.http.post(TASKS, json={"title": "x"})
            seen[answer.status_code] += 1
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) >= 1
                time.sleep(0.05)
        page = person.http.get(TASKS, params={"limit": 100}).json()
        # What was answered 503 may have been stored all the same; what was answered 201 is.
        assert page["next_cursor"] or len(page["items"]) >= seen[201]
        return seen

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(work, worker) for worker in range(8)]
        time.sleep(1)
        pooler.stop(number)
        time.sleep(0.3)
        pooler.start()
        seen = sum((each.result() for each in running), Counter())

    assert set(seen) <= {201, 503}
    assert seen[201]
    service.wait_ready()


def test_without_the_database_behind_it_the_log_names_the_cause(
    service: Service, make_person: MakePerson, own_cluster: Cluster
) -> None:
    person = make_person("alice")
    own_cluster.stop()
    try:
        answer = person.http.get(TASKS)
        assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
        service.wait_not_ready()
    finally:
        own_cluster.start()

    assert service.wait_ready() < 10
    event = service.wait_for("the database is not available: ")
    assert "\n" not in event["message"]
    assert person.http.get(TASKS).status_code == 200


def test_a_migration_takes_its_time_whatever_limits_the_role_has(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    url = own_cluster.make_database()
    name = url.partition("?")[0].rpartition("/")[2]
    limit_s = 0.5
    own_cluster.query(
        url, f"ALTER ROLE todo IN DATABASE {name} SET statement_timeout = '{limit_s}s'"
    )
    environment = make_environment(tmp_path, {"TODO_DATABASE_URL": url})
    with ThreadPoolExecutor(1) as threads, own_cluster.connect(name) as other:
        other.execute(f"SELECT pg_advisory_lock({LOCK_KEY})".encode())
        migrating = threads.submit(run_admin, environment, "migrate")
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while own_cluster.query(url, waiting) == [(0,)]:
            assert not migrating.done(), migrating.result().stderr
            time.sleep(0.05)
        time.sleep(2 * limit_s)
        other.close()
        migrated = migrating.result()

    assert migrated.returncode == 0, migrated.stderr
