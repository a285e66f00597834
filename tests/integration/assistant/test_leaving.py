"""A client that leaves, or a model server that is away, leaves nothing behind in the backend."""

import concurrent.futures
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.model_server import ModelServer, delta, open_model_server
from tests.integration.service import Service, open_service
from tests.integration.users import Person, read
from tests.machine_clock import wait_until

MESSAGE = {"message": "How are you doing today"}
STREAM = {"Accept": "text/event-stream"}
OPEN = (
    "todo_assistant_turns_open",
    "todo_assistant_model_requests_open",
    'todo_streams{kind="assistant"}',
    'todo_database_pool_connections{state="in_use"}',
    "todo_database_pool_waiters",
)
CLIENTS = 12


def read_metric(service: Service, name: str) -> float:
    text = service.get_check("metrics").text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(value)


def wait_for_rest(service: Service) -> None:
    for name in OPEN:
        wait_until(lambda name=name: read_metric(service, name) == 0, name, within_s=60)  # type: ignore[misc]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    """A model server."""
    with open_model_server() as opened:
        yield opened


@pytest.fixture(scope="module")
def service(model: ModelServer) -> Iterator[Service]:
    """A backend that waits for the model server for a given time."""
    options = {
        "TODO_AI_URL": model.url,
        "TODO_AI_MODE": "tools",
        "TODO_AI_FIRST_TOKEN_TIMEOUT_S": "3600",
        "TODO_AI_RUN_TIMEOUT_S": "3600",
        "TODO_REQUEST_DEADLINE_S": "3600",
        # The turn of a client that has left may still run when the next one starts.
        "TODO_AI_CONCURRENCY": "100",
    }
    with open_service(options) as started:
        started.wait_ready()
        yield started


def start_and_leave(service: Service) -> None:
    """Read a stream until the model has written something, then close the connection."""
    with (
        service.client(service.token("leaver")) as client,
        client.stream("POST", "/api/v1/assistant", json=MESSAGE, headers=STREAM) as response,
    ):
        for line in response.iter_lines():
            if line == "event: text":
                return
    pytest.fail("the stream has ended")


def test_clients_that_leave_within_a_stream_leave_nothing_behind(
    model: ModelServer, service: Service
) -> None:
    model.follow(server.hang_after(delta("Hel")))
    canceled = 'todo_assistant_model_requests_total{outcome="canceled"}'
    before = read_metric(service, canceled)

    with concurrent.futures.ThreadPoolExecutor(2) as clients:
        for done in [clients.submit(start_and_leave, service) for _ in range(CLIENTS)]:
            done.result()

    wait_until(lambda: model.open_connections == 0, "no connection", within_s=60)
    wait_for_rest(service)
    assert read_metric(service, canceled) - before == CLIENTS
    # A client that leaves says nothing about the server.
    assert read_metric(service, 'todo_breaker_state{breaker="model-server",state="closed"}') == 1


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_client_that_leaves_before_a_whole_answer_ends_the_turn(
    model: ModelServer, service: Service, *, is_chunked: bool
) -> None:
    model.follow(server.hang)
    model.requests.clear()
    content = json.dumps(MESSAGE).encode()
    headers = {"Content-Type": "application/json"}

    # It gives up while the model thinks.
    body = iter([content]) if is_chunked else content
    with service.client(service.token("leaver")) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/api/v1/assistant", content=body, headers=headers, timeout=3)

    wait_until(lambda: model.open_connections == 0, "no connection", within_s=60)
    wait_for_rest(service)


def test_a_stop_ends_turns_and_their_connections(model: ModelServer) -> None:
    model.follow(server.hang)
    model.requests.clear()
    with open_service({"TODO_AI_URL": model.url, "TODO_AI_MODE": "tools"}) as service:
        service.wait_ready()
        with (
            concurrent.futures.ThreadPoolExecutor(1) as clients,
            service.client(service.token()) as client,
        ):
            sent = clients.submit(client.post, "/api/v1/assistant", json=MESSAGE)
            wait_until(lambda: model.requests, "a request to the model server", within_s=60)
            code = service.stop()
            response = sent.result()

        assert code == 0
        answer = read(response)
        assert answer["degraded"]
        assert service.errors == ""
    wait_until(lambda: model.open_connections == 0, "no connection", within_s=60)


@pytest.mark.parametrize(("silent_s", "state"), [("1", "open"), ("3600", "closed")])
def test_only_a_server_that_is_silent_too_long_is_blamed_for_a_turn_without_time(
    model: ModelServer, silent_s: str, state: str
) -> None:
    model.follow(server.hang)
    options = {
        "TODO_AI_URL": model.url,
        "TODO_AI_MODE": "tools",
        "TODO_AI_RUN_TIMEOUT_S": "2",
        "TODO_AI_FIRST_TOKEN_TIMEOUT_S": silent_s,
    }
    with open_service(options) as service:
        service.wait_ready()
        alice = Person(service, "alice")

        def ask() -> str:
            answer = read(alice.http.post("/api/v1/assistant", json=MESSAGE))
            reason: str = answer["degraded_reason"]
            return reason

        with alice.http:
            assert {ask() for _ in range(3)} <= {"deadline", "timeout"}
            if state == "open":
                # The next turns do not wait as long. On a slow machine it takes more than three:
                # what is left of a turn may be less than the server may be silent.
                wait_until(lambda: ask() == "breaker-open", "an open breaker", within_s=600)

        name = f'todo_breaker_state{{breaker="model-server",state="{state}"}}'
        assert read_metric(service, name) == 1
        wait_for_rest(service)


def test_a_server_that_is_absent_is_left_alone_after_some_messages() -> None:
    options = {"TODO_AI_URL": "http://127.0.0.1:1/v1", "TODO_AI_MODE": "tools"}
    with open_service(options) as service:
        service.wait_ready()
        alice = Person(service, "alice")
        with alice.http:
            answers = [read(alice.http.post("/api/v1/assistant", json=MESSAGE)) for _ in range(4)]

        reasons = [answer["degraded_reason"] for answer in answers]
        assert reasons == [*["unreachable"] * 3, "breaker-open"]
        state = 'todo_breaker_state{breaker="model-server",state="open"}'
        assert read_metric(service, state) == 1
        assert read_metric(service, "todo_ready") == 1
        assert read_metric(service, 'todo_assistant_turns_total{outcome="degraded"}') == 4
        assert service.errors == ""
        assert MESSAGE["message"] not in "".join(map(str, service.events))
