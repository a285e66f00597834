"""Several instances on one public socket: only those that can answer take connections."""

import asyncio
import contextlib
import http.client
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster
from tests.integration.load import HEALTH, Tally, answer_more, ask_until
from tests.integration.service import Service, open_folder
from tests.machine_clock import wait_until
from todo.config.settings import Settings
from todo.db.migrate import migrate

TASKS = "/api/v1/tasks"
REQUESTS = 40

Start = Callable[[Mapping[str, str]], Service]


@pytest.fixture
def public() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield listener


@pytest.fixture
def begin(public: socket.socket) -> Iterator[Start]:
    """Begin to start instances that share the socket and the folder of their files."""
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(open_folder())

        def begin(options: Mapping[str, str]) -> Service:
            folder = stack.enter_context(open_folder())
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as management:
                management.bind(f"{folder}/management.sock")
                management.listen(4096)
                mine = {"TODO_INSTANCE_FILE": f"{shared}/{folder.name}", **options}
                # As systemd does with a socket that it passes on.
                public.settimeout(None)
                service = Service(folder, mine, inherited=[public, management])
            stack.callback(service.stop, signal.SIGKILL)
            return service

        yield begin


@pytest.fixture
def start(begin: Start) -> Start:
    """Start instances, and wait until they listen."""

    def start(options: Mapping[str, str]) -> Service:
        service = begin(options)
        service.wait_for("listening")
        return service

    return start


@pytest.fixture
def shared(cluster: Cluster) -> dict[str, str]:
    """Options of an instance that becomes ready, on the database of all of them."""
    url = cluster.make_database()
    migrate(Settings(database_url=url), lambda _line: None)
    return {"TODO_DATABASE_URL": url}


@pytest.fixture
def working(tmp_path: Path) -> dict[str, str]:
    """Options of an instance that becomes ready."""
    return {
        "TODO_DATABASE_URL": f"sqlite:///{tmp_path}/todo.db",
        "TODO_DATABASE_MIGRATE": "startup",
    }


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """Options of an instance whose database has no tables."""
    return {"TODO_DATABASE_URL": f"sqlite:///{tmp_path}/empty.db", "TODO_DATABASE_MIGRATE": "never"}


def connect(public: socket.socket) -> http.client.HTTPConnection:
    host, port = public.getsockname()
    return http.client.HTTPConnection(host, port, timeout=600)


def get(public: socket.socket, token: str) -> http.client.HTTPResponse:
    """Ask on a connection of its own."""
    with contextlib.closing(connect(public)) as client:
        client.request("GET", TASKS, headers={"Authorization": f"Bearer {token}"})
        response = client.getresponse()
        response.read()
        return response


def count_statuses(public: socket.socket, service: Service) -> Counter[int]:
    token = service.token()
    return Counter(get(public, token).status for _ in range(REQUESTS))


def is_accepting(service: Service) -> bool:
    with service.client(management=True) as client:
        return "\ntodo_accepting 1.0\n" in client.get("/metrics").text


def wait_accepting(service: Service, *, accepting: bool) -> None:
    wait_until(lambda: is_accepting(service) is accepting, f"accepting: {accepting}", within_s=120)


@pytest.mark.parametrize("is_first", [True, False])
def test_an_instance_that_is_not_ready_leaves_the_connections_to_one_that_is(
    start: Start,
    public: socket.socket,
    working: dict[str, str],
    broken: dict[str, str],
    is_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    services = [start(broken if is_first is (number == 0) else working) for number in range(2)]
    bad, good = services if is_first else services[::-1]
    good.wait_ready()
    wait_accepting(bad, accepting=False)

    assert count_statuses(public, good) == {200: REQUESTS}
    assert is_accepting(good)


def test_without_a_ready_one_an_instance_accepts_and_says_why(
    start: Start, public: socket.socket, working: dict[str, str], broken: dict[str, str]
) -> None:
    good, bad = start(working), start(broken)
    good.wait_ready()
    wait_accepting(bad, accepting=False)

    good.stop(signal.SIGKILL)

    assert get(public, bad.token()).status == 503
    wait_accepting(bad, accepting=True)
    assert "this instance is not ready" in {e["message"].partition(":")[0] for e in bad.events}


def test_instances_whose_database_is_gone_answer_and_recover(
    start: Start, public: socket.socket, own_cluster: Cluster
) -> None:
    url = own_cluster.make_database()
    migrate(Settings(database_url=url), lambda _line: None)
    services = [start({"TODO_DATABASE_URL": url}) for _ in range(2)]
    for service in services:
        service.wait_ready()

    own_cluster.stop()
    for service in services:
        service.wait_not_ready()
        wait_accepting(service, accepting=True)
    assert count_statuses(public, services[0]) == {503: REQUESTS}

    own_cluster.start()
    for service in services:
        service.wait_ready()
    assert count_statuses(public, services[0]) == {200: REQUESTS}


def test_clients_of_an_instance_that_is_no_longer_ready_are_told_to_connect_again(
    start: Start, public: socket.socket, working: dict[str, str], own_cluster: Cluster
) -> None:
    url = own_cluster.make_database()
    migrate(Settings(database_url=url), lambda _line: None)
    failing = start({"TODO_DATABASE_URL": url})
    failing.wait_ready()
    headers = {"Authorization": f"Bearer {failing.token()}"}
    with contextlib.closing(connect(public)) as kept:
        kept.request("GET", TASKS, headers=headers)
        assert kept.getresponse().read()
        good = start(working)
        good.wait_ready()

        own_cluster.stop()
        failing.wait_not_ready()
        wait_accepting(failing, accepting=False)

        kept.request("GET", TASKS, headers=headers)
        response = kept.getresponse()
        assert b"database-unavailable" in response.read()
        assert (response.status, response.getheader("Connection")) == (503, "close")
    own_cluster.start()


def test_the_self_test_leaves_no_trace(
    start: Start, cluster: Cluster, working: dict[str, str], tmp_path: Path
) -> None:
    url = cluster.make_database()
    migrate(Settings(database_url=url), lambda _line: None)
    for options in ({"TODO_DATABASE_URL": url}, working):
        service = start(options)
        service.wait_ready()
        assert is_accepting(service)

    count = "SELECT (SELECT count(*) FROM {0}) + (SELECT count(*) FROM {1})"
    for tables in (("task", "account"), ("journal", "task_tag")):
        statement = count.format(*tables)
        with contextlib.closing(sqlite3.connect(tmp_path / "todo.db")) as connection:
            assert connection.execute(statement).fetchone() == (0,)
        assert cluster.query(url, statement) == [(0,)]


def test_an_instance_that_cannot_write_is_not_ready(
    start: Start, public: socket.socket, cluster: Cluster, working: dict[str, str]
) -> None:
    url = cluster.make_database()
    migrate(Settings(database_url=url), lambda _line: None)
    cluster.query(
        url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE insufficient_privilege; END $$",
    )
    cluster.query(url, "CREATE TRIGGER fail BEFORE INSERT ON task EXECUTE FUNCTION fail()")
    bad, good = start({"TODO_DATABASE_URL": url}), start(working)
    good.wait_ready()

    wait_accepting(bad, accepting=False)

    assert bad.get_check("readyz").status_code == 503
    assert bad.get_check("livez").status_code == 200
    assert count_statuses(public, good) == {200: REQUESTS}


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    options = {"TODO_INSTANCE_FILE": f"{tmp_path}/missing/1"}
    with open_folder() as folder:
        service = Service(folder, options)
        wait_until(lambda: service.process.poll() is not None, "ended", within_s=120)
        assert service.process.returncode == 78
        assert f"TODO_INSTANCE_FILE: cannot open {tmp_path}/missing/" in service.errors


def test_instances_count_the_requests_of_a_token_together(
    start: Start, public: socket.socket, cluster: Cluster
) -> None:
    url = cluster.make_database()
    migrate(Settings(database_url=url), lambda _line: None)
    options = {"TODO_DATABASE_URL": url, "TODO_RATE_LIMIT_PER_MINUTE": "10"}
    services = [start(options) for _ in range(3)]
    for service in services:
        service.wait_ready()
        wait_accepting(service, accepting=True)
    token = services[0].token()
    left: list[int] = []
    while len(left) < 30 and (response := get(public, token)).status == 200:
        field = response.getheader("RateLimit") or ""
        left.append(int(field.partition("r=")[2].partition(";")[0]))
    # A bucket of its own would begin anew in each of them.
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


def test_an_instance_does_not_wait_for_a_connection_that_another_one_took(
    start: Start, public: socket.socket, shared: dict[str, str]
) -> None:
    services = [start(shared) for _ in range(2)]
    for service in services:
        service.wait_ready()
        wait_accepting(service, accepting=True)

    for _ in range(REQUESTS):
        # At the end of a burst both see the last connection, and one of them takes it.
        public.settimeout(None)
        ask_at_once(public, 2 * len(services) + 1)
        for service in services:
            assert service.get_check("livez").status_code == 200


def ask_at_once(public: socket.socket, number: int) -> None:
    with contextlib.ExitStack() as stack:
        connections = (socket.create_connection(public.getsockname(), 120) for _ in range(number))
        clients = [stack.enter_context(each) for each in connections]
        for client in clients:
            client.sendall(HEALTH)
        assert {client.recv(12) for client in clients} == {b"HTTP/1.1 200"}


def test_a_client_between_two_requests_is_told_that_its_instance_stops(
    start: Start, public: socket.socket, shared: dict[str, str]
) -> None:
    def is_told() -> bool:
        leaving = start(shared)
        leaving.wait_ready()
        headers = {"Authorization": f"Bearer {leaving.token()}"}
        with contextlib.closing(connect(public)) as kept:
            kept.request("GET", TASKS, headers=headers)
            assert kept.getresponse().read()
            staying = start(shared)
            staying.wait_ready()
            kept.request("GET", TASKS, headers=headers)
            assert kept.getresponse().read()
            leaving.process.send_signal(signal.SIGTERM)
            leaving.wait_for("stopping")
            # Longer than an instance stays without another one.
            time.sleep(0.2)
            try:
                kept.request("GET", TASKS, headers=headers)
                response = kept.getresponse()
            except ConnectionError:
                return False
            finally:
                staying.stop()
            return response.getheader("Connection") == "close"

    # On a busy machine, the client comes too late.
    assert any(is_told() for _ in range(10))


@contextlib.asynccontextmanager
async def load(public: socket.socket, token: str) -> AsyncIterator[Tally]:
    """Requests during the block, of which none may be lost; after it, nobody connects any more."""
    tally, stop = Tally(), asyncio.Event()
    request = f"GET {TASKS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    port: int = public.getsockname()[1]
    task = asyncio.create_task(ask_until(stop, port, tally, request.encode()))
    try:
        yield tally
    finally:
        stop.set()
        await task
    assert tally.failures == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_restart_of_one_after_the_other_loses_no_request(
    start: Start, public: socket.socket, shared: dict[str, str], number: int
) -> None:
    services = [start(shared) for _ in range(number)]
    for service in services:
        service.wait_ready()

    def restart(former: Service) -> None:
        assert former.stop() == 0
        service = start(shared)
        service.wait_ready()
        wait_accepting(service, accepting=True)

    async def scenario() -> None:
        async with load(public, services[0].token()) as tally:
            for former in services:
                await answer_more(20, tally)
                await asyncio.to_thread(restart, former)
            await answer_more(20, tally)

    asyncio.run(scenario())


def test_an_instance_that_fails_for_ever_loses_no_request(
    begin: Start, start: Start, public: socket.socket, shared: dict[str, str]
) -> None:
    services = [start(shared) for _ in range(3)]
    for service in services:
        service.wait_ready()

    def fail() -> None:
        failing = begin({**shared, "TODO_LOG_LEVEL": "loud"})
        wait_until(lambda: failing.process.poll() is not None, "ended", within_s=120)
        assert failing.process.returncode == 78

    async def scenario() -> None:
        async with load(public, services[0].token()) as tally:
            await answer_more(20, tally)
            assert await asyncio.to_thread(services.pop().stop) == 0
            for _ in range(3):
                await asyncio.to_thread(fail)
                await answer_more(20, tally)

    asyncio.run(scenario())

    for service in services:
        assert service.get_check("livez").status_code == 200
