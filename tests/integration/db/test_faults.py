"""Responses during database faults; docs/database.md has this table."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import event

from tests.integration.cluster import Cluster
from tests.integration.database_faults import Weather, locked_file
from tests.integration.service import Service, open_service
from tests.machine_clock import CLOCK
from todo.config.settings import Settings
from todo.core.caller import Caller
from todo.core.errors import DatabaseFullError
from todo.db.database import Database
from todo.db.migrate import migrate
from todo.tasks.query import Query, read_page
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

PATH = "/api/v1/tasks"
DOCUMENT = Path(__file__).parents[3] / "docs" / "database.md"
POOL = 4
POOL_TIMEOUT_S = 0.5
STATEMENT_TIMEOUT_S = 2.0
RESET_S = 1.0
# What a busy machine may add.
SLACK_S = 3.0
OPTIONS = {
    "TODO_DATABASE_MIGRATE": "startup",
    "TODO_DATABASE_POOL_SIZE": str(POOL),
    "TODO_DATABASE_POOL_TIMEOUT_S": str(POOL_TIMEOUT_S),
    "TODO_DATABASE_STATEMENT_TIMEOUT_S": str(STATEMENT_TIMEOUT_S),
    "TODO_DATABASE_BREAKER_FAILURES": "3",
    "TODO_DATABASE_BREAKER_RESET_S": str(RESET_S),
    "TODO_RATE_LIMIT_PER_MINUTE": "0",
    "TODO_RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
}
DOWN = "503 `database-unavailable`"
BUSY = "503 `database-busy`"


@dataclass(frozen=True)
class Row:
    """One line of the table: what is to be seen, and within how many seconds."""

    weather: str
    read: str
    write: str
    ready: str
    breaker: str
    after: str
    within_s: float = 0.0

    def render(self) -> str:
        cells = (self.weather, self.read, self.write, self.ready, self.breaker, self.after)
        return f"| {' | '.join(cells)} |"


CONNECT = "`TODO_DATABASE_CONNECT_TIMEOUT_S`"
STATEMENT = "`TODO_DATABASE_STATEMENT_TIMEOUT_S`"
ROWS = {
    "slow": Row(
        "is slow: no statement ends in time",
        BUSY,
        BUSY,
        "200",
        "closed",
        f"{STATEMENT}, for each statement",
        # A write waits for that of the same owner before it.
        2 * STATEMENT_TIMEOUT_S,
    ),
    "hanging": Row(
        "hangs: nothing is refused, nothing answered",
        DOWN,
        DOWN,
        DOWN,
        "open",
        f"{STATEMENT} + 1 s, then at once",
        STATEMENT_TIMEOUT_S + 1,
    ),
    "dropping": Row(
        "drops every connection, again and again",
        f"200 or {DOWN}",
        f"201 or {DOWN}",
        f"200 or {DOWN}",
        "closed or open",
        "at once",
    ),
    "full": Row("is full", "200", "503 `database-full`", "200", "closed", "at once"),
    "read_only": Row(
        "is read-only, or a standby", "200", "503 `database-read-only`", "200", "closed", "at once"
    ),
    "crowded": Row("has no connection left", DOWN, DOWN, DOWN, "open", "at once"),
    "stopped": Row("is stopped", DOWN, DOWN, DOWN, "open", "at once"),
    "restarting": Row(
        "restarts, again and again",
        f"200 or {DOWN}",
        f"201 or {DOWN}",
        f"200 or {DOWN}",
        "closed or open",
        "at once",
    ),
}
POOL_ROW = Row(
    "works, and every connection of the pool is in use",
    BUSY,
    BUSY,
    "200",
    "closed",
    "`TODO_DATABASE_POOL_TIMEOUT_S`",
    POOL_TIMEOUT_S,
)
SQLITE_ROWS = {
    "locked": Row("SQLite: another process writes", "200", BUSY, "200", "closed", "5 s", 5.0),
    "full": Row(
        "SQLite: the disk is full", "200", "503 `database-full`", "200", "closed", "at once"
    ),
}


class Observer:
    """Asks a service while something befalls its database, and notes what it sees."""

    def __init__(self, service: Service) -> None:
        self.service = service
        # A single account must not use the whole pool.
        users = [f"user-{uuid.uuid4()}" for _ in range(POOL - 1)]
        self._tokens = [service.token(user, lifetime_s=3600) for user in users]
        self.slowest_s = 0.0

    def ask(self, act: Callable[[httpx.Client], httpx.Response], rounds: int = 2) -> set[str]:
        """Ask a few times at once, fewer than the pool has connections; again and again."""

        def once(number: int) -> str:
            with self.service.client(self._tokens[number]) as client:
                began = CLOCK.now()
                answer = act(client)
                self.slowest_s = max(self.slowest_s, CLOCK.now() - began)
            return describe(answer)

        with ThreadPoolExecutor(POOL - 1) as threads:
            return {each for _ in range(rounds) for each in threads.map(once, range(POOL - 1))}

    def read(self, rounds: int = 2) -> set[str]:
        return self.ask(lambda client: client.get(PATH), rounds)

    def write(self, rounds: int = 2) -> set[str]:
        return self.ask(lambda client: client.post(PATH, json={"title": "t"}), rounds)


def describe(answer: httpx.Response) -> str:
    if answer.status_code < 400:
        return str(answer.status_code)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert "retry-after" in answer.headers, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return f"{answer.status_code} `{answer.json()['code']}`"


def find_breaker(service: Service) -> str:
    for line in service.get_check("metrics").text.splitlines():
        if line.startswith('todo_breaker_state{breaker="database"') and line.endswith(" 1.0"):
            return line.rpartition('="')[2].partition('"')[0].replace("half-open", "open")
    return "none"


@pytest.fixture(scope="module")
def postgres(own_cluster: Cluster) -> Iterator[tuple[Service, Weather]]:
    url = own_cluster.make_database()
    with open_service({**OPTIONS, "TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        yield service, Weather(own_cluster, url)


def check(
    service: Service, row: Row, weather: AbstractContextManager[None], *, rounds: int = 2
) -> None:
    """Ask before, during and after; compare with the row, and the row with the documentation."""
    caller = Observer(service)
    assert (caller.write(1), caller.read(1)) == ({"201"}, {"200"})
    with weather:
        caller.slowest_s = 0.0
        read, write = caller.read(rounds), caller.write(rounds)
        # Longer than a good result is remembered.
        time.sleep(0.6)
        ready, alive = service.get_check("readyz"), service.get_check("livez")
        state = find_breaker(service)
        slowest_s = caller.slowest_s
    began = CLOCK.now()
    recovered_s = service.wait_ready()
    while caller.write(1) != {"201"}:
        assert CLOCK.now() - began < RESET_S + SLACK_S
    seen = f"{row.weather}: {read} {write} {describe(ready)} {state} {slowest_s:.1f} s"
    # For who runs this with -s.
    print(f"{seen}, ready again after {recovered_s:.1f} s")  # noqa: T201

    assert (alive.status_code, service.process.poll()) == (200, None)
    for found, allowed in [
        (read, row.read),
        (write, row.write),
        ({describe(ready)}, row.ready),
        ({state}, row.breaker),
    ]:
        assert found <= set(allowed.split(" or ")), seen
    assert slowest_s < row.within_s + SLACK_S, seen
    assert row.render() in DOCUMENT.read_text(), f"docs/database.md lacks: {row.render()}"


@pytest.mark.parametrize("name", ROWS)
def test_callers_see_what_the_documentation_says(
    postgres: tuple[Service, Weather], name: str
) -> None:
    service, weather = postgres
    lasts: Callable[[], AbstractContextManager[None]] = getattr(weather, name)
    check(service, ROWS[name], lasts(), rounds=10 if "restart" in name or "drop" in name else 2)


def test_a_pool_in_use_is_told_within_its_time(postgres: tuple[Service, Weather]) -> None:
    service, _weather = postgres
    url = service.environment["TODO_DATABASE_URL"].replace("+psycopg", "")

    @contextmanager
    def in_use() -> Iterator[None]:
        with ExitStack() as stack:
            tokens = [service.token(f"busy{number}") for number in range(POOL)]
            clients = [stack.enter_context(service.client(token)) for token in tokens]
            for client in clients:
                client.post(PATH, json={"title": "busy"})
            with psycopg.connect(url) as blocker, ThreadPoolExecutor(POOL) as threads:
                blocker.execute("SELECT 1 FROM account WHERE owner LIKE 'busy%' FOR UPDATE")
                deadline = time.monotonic() + 60

                def keep_busy(client: httpx.Client) -> None:
                    while time.monotonic() < deadline:
                        client.post(PATH, json={"title": "busy"})

                busy = threads.map(keep_busy, clients)
                time.sleep(0.3)
                yield
                deadline = 0
                blocker.rollback()
                list(busy)

    check(service, POOL_ROW, in_use(), rounds=1)


def test_a_locked_file_lets_readers_read() -> None:
    with open_service(OPTIONS) as service:
        service.wait_ready()
        check(service, SQLITE_ROWS["locked"], locked_file(find_file(service)), rounds=1)


def test_a_file_without_room_lets_readers_read(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/todo.db"
    migrate(Settings(database_url=url), print)

    async def fill() -> tuple[list[int], str]:
        database = Database(Settings(database_url=url, database_pool_size=1))
        # What SQLite itself answers when the disk has no more blocks.
        event.listen(database.engine, "connect", lambda c, _: c.execute("PRAGMA max_page_count=60"))
        caller, read, refused = Caller("alice"), [], ""
        while not refused:
            try:
                async with database.unit_of_work() as session:
                    work = UnitOfWork(session, caller)
                    await TaskService(work).create({"title": "t", "description": "x" * 5000})
                    await work.commit()
            except DatabaseFullError as error:
                refused = error.code
            async with database.reading() as session:
                page = await read_page(session, caller, Query(limit=100), datetime.now(UTC))
            read.append(len(page.items))
        state = database.breaker.state
        await database.dispose()
        return read, f"503 `{refused}` {state}"

    read, refused = asyncio.run(fill())

    row = SQLITE_ROWS["full"]
    assert refused == f"{row.write} {row.breaker}"
    # Each was read once it was written; the last was not.
    assert read == [*range(1, len(read)), len(read) - 1]
    assert row.render() in DOCUMENT.read_text(), f"docs/database.md lacks: {row.render()}"


def find_file(service: Service) -> Path:
    (path,) = Path(service.environment["XDG_DATA_HOME"]).rglob("todo.db")
    return path


def test_more_callers_than_the_pool_can_serve_are_refused_and_do_not_pile_up(
    postgres: tuple[Service, Weather],
) -> None:
    """Four connections, a hundred callers, and statements that take two seconds each."""
    service, weather = postgres
    waited_s: list[float] = []

    def ask(_number: int) -> str:
        with service.client(service.token()) as client:
            began = CLOCK.now()
            answer = client.get(PATH)
            waited_s.append(CLOCK.now() - began)
        return describe(answer)

    callers = 100
    with weather.slow(), ThreadPoolExecutor(callers) as threads:
        answers = set(threads.map(ask, range(2 * callers)))
    service.wait_ready()

    assert answers == {BUSY}
    # Whoever has a connection waits for the statement, everybody else for the pool.
    waited_s.sort()
    assert waited_s[int(0.99 * len(waited_s))] < STATEMENT_TIMEOUT_S + POOL_TIMEOUT_S + SLACK_S
    assert Observer(service).read(1) == {"200"}
