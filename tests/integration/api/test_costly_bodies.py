"""Bodies that are cheap to send and costly to evaluate hold nobody up."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from tests.integration.overload import Watch
from tests.integration.service import Service, open_service
from tests.integration.tokens import make
from tests.integration.users import TASKS
from tests.machine_clock import CLOCK

if TYPE_CHECKING:
    from tests.integration.cluster import Cluster

BATCH = f"{TASKS}/batch"
MEBIBYTE = 1024 * 1024
# An answer takes some milliseconds; what an attack may add to that.
LIVEZ_S = 2
# A neighbor's write waits for those before it, and for a fair part of the processor.
WRITE_S = 5
# As many large bodies as one user may send at a time.
TOGETHER = 8
_numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> Iterator[Service]:
    options = {"TODO_DATABASE_MIGRATE": "startup"}
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("cluster")
        options["TODO_DATABASE_URL"] = cluster.make_database()
    with open_service(options) as service:
        service.wait_ready()
        yield service


class Neighbor:
    """Another user, who creates tasks for the length of the block.

    Attributes:
        statuses: What each write was answered with.
        worst_s: The longest that one took, in seconds of a quiet machine.
    """

    def __init__(self, service: Service) -> None:
        self.statuses: set[int] = set()
        self.worst_s = 0.0
        self._ended = threading.Event()
        self._client = service.client(service.token("neighbor"))
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._client.close()

    def _write(self) -> None:
        while not self._ended.wait(0.05):
            began = CLOCK.now()
            self.statuses.add(self._client.post(TASKS, json={"title": "t"}).status_code)
            self.worst_s = max(self.worst_s, CLOCK.now() - began)


def send_together(
    service: Service, token: str, path: str, render: Callable[[], bytes]
) -> list[httpx.Response]:
    """Send bodies of one user, many at a time; return the answers."""
    bodies = [render() for _ in range(TOGETHER)]

    def send(body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        with service.client(token) as client:
            return client.post(path, content=body, headers=headers)

    with ThreadPoolExecutor(TOGETHER) as threads:
        return list(threads.map(send, bodies))


def make_token(service: Service, *scopes: str) -> str:
    with service.client(service.token("attacker")) as client:
        return str(make(client, *scopes)["token"])


def render(**body: Any) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps(body, separators=(",", ":")).encode()


def unknown_keys() -> bytes:
    return render(**{f"k{number}": 0 for number in range(94_000)})


def empty_operations() -> bytes:
    return render(operations=[{}] * 300_000)


def wrong_operations() -> bytes:
    unknown = {f"k{number}": 0 for number in range(45)}
    operation = {"op": "create", "task": {"title": "t", **unknown}}
    return render(operations=[operation] * 100)


def rules_that_never_occur() -> bytes:
    days = (f"{200 + number % 160},{366 - number // 160}" for number in _numbers)
    rules = [f"FREQ=YEARLY;BYWEEKNO=20;BYYEARDAY={day}" for day in itertools.islice(days, 100)]
    tasks = [{"title": "t", "recurrence": rule, "due_date": "2026-11-25"} for rule in rules]
    return render(operations=[{"op": "create", "task": task} for task in tasks])


@pytest.mark.parametrize("body", [unknown_keys, empty_operations, wrong_operations])
def test_a_body_with_thousands_of_errors_holds_nobody_up(
    backend: Service, body: Callable[[], bytes]
) -> None:
    token = make_token(backend, "write")
    assert len(body()) < MEBIBYTE
    with Watch(backend, body.__name__) as watch, Neighbor(backend) as neighbor:
        answers = send_together(backend, token, BATCH, body)

    assert {answer.status_code for answer in answers} == {422}
    assert max(len(answer.content) for answer in answers) < 32 * 1024
    assert watch.report.livez_worst_s < LIVEZ_S
    assert watch.report.failed_probes == 0
    assert neighbor.statuses == {201}
    assert neighbor.worst_s < WRITE_S


def test_a_token_that_may_not_write_has_no_body_parsed(backend: Service) -> None:
    token = make_token(backend, "read")
    with Watch(backend, "94,000 keys, read-only token") as watch:
        answers = send_together(backend, token, BATCH, unknown_keys)

    assert {answer.status_code for answer in answers} == {403}
    assert max(len(answer.content) for answer in answers) < 1024
    assert watch.report.livez_worst_s < LIVEZ_S
    assert watch.report.failed_probes == 0
    with backend.client(token) as client:
        headers = {"Content-Type": "application/json"}
        assert client.post(TASKS, content=b"not JSON", headers=headers).status_code == 403


def test_rules_that_never_occur_hold_nobody_up(backend: Service) -> None:
    token = make_token(backend, "write")
    assert len(rules_that_never_occur()) < 13 * 1024
    with Watch(backend, "rules that never occur") as watch, Neighbor(backend) as neighbor:
        answers = send_together(backend, token, BATCH, rules_that_never_occur)

    assert {answer.status_code for answer in answers} == {422}
    assert {len(answer.json()["errors"]) for answer in answers} == {100}
    assert watch.report.livez_worst_s < LIVEZ_S
    assert watch.report.failed_probes == 0
    assert neighbor.statuses == {201}
    assert neighbor.worst_s < WRITE_S
