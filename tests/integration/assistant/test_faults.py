"""A model server that fails never fails a message: the answer has its shape, and says why.

The limits of the service are short where a server hangs. No assertion is about time: a machine that
is slow makes a timeout of any fault.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.model_faults import FAULTS
from tests.integration.assistant.model_server import Answer, ModelServer, open_model_server
from tests.integration.service import Service, open_folder, open_service
from tests.integration.users import Person, read
from tests.machine_clock import wait_until

# Nothing that rules decide.
MESSAGE = "How are you doing today"
LIMIT_S = 2
STREAM = {"Accept": "text/event-stream"}
FIELDS = {
    *("conversation_id", "message_id", "response", "tool_calls", "run_id", "undo", "plan"),
    *("degraded", "degraded_reason", "usage"),
}
CHAT_FIELDS = {"conversation_id", "response", "tool_calls", "plan", "degraded", "run_id"}


@pytest.fixture(scope="module", params=["json_schema", "tools"])
def assisted(request: pytest.FixtureRequest) -> Iterator["Assisted"]:
    """A backend with a model server, which each test opens."""
    with open_folder() as folder:
        path = folder / "model.sock"
        options = {
            "TODO_AI_URL": f"unix:{path}",
            "TODO_AI_MODE": request.param,
            "TODO_AI_FIRST_TOKEN_TIMEOUT_S": str(LIMIT_S),
            "TODO_AI_TURNS_PER_MINUTE": "0",
        }
        with open_service(options) as service:
            service.wait_ready()
            yield Assisted(service, path, request.param)


class Assisted:
    """A backend, and where its model server is to listen."""

    def __init__(self, service: Service, path: Path, mode: str) -> None:
        self.service = service
        self.path = path
        self.mode = mode

    def is_fine(self, alice: Person) -> bool:
        """Return whether the model answers: after that, the breaker counts from zero."""
        return not send(alice)["degraded"]

    def metric(self, name: str) -> float:
        """The value of a metric."""
        text = self.service.get_check("metrics").text
        (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(value)

    def wait_for_rest(self) -> None:
        """Wait until no turn and no request to the model server is open."""
        for name in ("todo_assistant_turns_open", "todo_assistant_model_requests_open"):
            wait_until(lambda name=name: self.metric(name) == 0, name, within_s=60)  # type: ignore[misc]


@pytest.fixture
def model(assisted: Assisted) -> Iterator[ModelServer]:
    """The model server of the backend."""
    with open_model_server(assisted.path) as opened:
        yield opened


@pytest.fixture
def alice(assisted: Assisted) -> Iterator[Person]:
    """A new user."""
    person = Person(assisted.service, "alice")
    with person.http:
        yield person


def send(alice: Person, message: str = MESSAGE) -> dict[str, Any]:
    answer = read(alice.http.post("/api/v1/assistant", json={"message": message}))
    assert answer.keys() == FIELDS
    return answer


def greet(mode: str) -> Answer:
    """An answer that is right."""
    if mode == "tools":
        return server.say("Hello there")
    return server.say(json.dumps({"intent": "none", "tasks": [], "reply": "Hello there"}))


def make_fine(assisted: Assisted, model: ModelServer, alice: Person) -> None:
    """Let the model answer, so that the breaker is closed and counts from zero."""
    model.follow(greet(assisted.mode))
    # It opens where the machine is slow, and closes by itself.
    wait_until(lambda: assisted.is_fine(alice), "an answer of the model", within_s=600)


def stream(alice: Person, message: str = MESSAGE) -> dict[str, Any]:
    """Send a message and return the answer of the last event."""
    response = alice.http.post("/api/v1/assistant", json={"message": message}, headers=STREAM)
    assert response.status_code == 200, response.text
    name, data = response.text.strip().split("\n\n")[-1].split("\n")
    assert name == "event: done"
    answer: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert answer.keys() == FIELDS
    return answer


def chat(alice: Person) -> dict[str, Any]:
    """Send a message as existing front ends do."""
    answer = read(alice.http.post(f"/api/{alice.name}/chat", json={"message": MESSAGE}))
    assert answer.keys() == CHAT_FIELDS
    return answer


# One of each reason: the tests of the client have all faults. Those that hang take the limit.
FAULT_OF_REASON = {reason: answer for answer, reason in FAULTS.values()}


@pytest.mark.parametrize(("reason", "answer"), FAULT_OF_REASON.items(), ids=FAULT_OF_REASON)
def test_a_fault_of_the_server_is_an_answer_without_the_model(
    assisted: Assisted, model: ModelServer, alice: Person, reason: str, answer: Answer
) -> None:
    make_fine(assisted, model, alice)
    model.follow(answer)

    # Two requests, since the breaker opens at the third.
    found = [send(alice), chat(alice)] if assisted.mode == "tools" else [stream(alice)]

    for each in found:
        assert (each["degraded"], each["tool_calls"]) == (True, [])
        assert each["response"]
    assert found[0]["degraded_reason"] in {reason, "timeout"}
    wait_until(lambda: model.open_connections == 0, "no connection", within_s=60)
    assisted.wait_for_rest()


def test_arguments_that_cannot_be_read_are_an_answer_on_each_route(
    assisted: Assisted, model: ModelServer, alice: Person
) -> None:
    make_fine(assisted, model, alice)
    model.follow(FAULTS["nests the arguments of a call deeply"][0])

    found = [send(alice), stream(alice), chat(alice)]

    assert all(each["degraded"] for each in found)
    assert {each["degraded_reason"] for each in found[:2]} <= {"invalid", "timeout"}
    assert read(alice.http.get("/api/v1/tasks"))["items"] == []


# What the model writes is wrong: it gets the error twice.
NONSENSE = {
    "json_schema": {
        "writes no JSON": server.say("Hello there"),
        "invents an intent": server.say('{"intent": "fly", "tasks": []}'),
        "names a task that is not there": server.say('{"intent": "complete", "tasks": [99]}'),
        "writes a list": server.say("[1, 2]"),
    },
    "tools": {
        "calls an unknown tool": server.call("launch_missiles", {"now": True}),
        "writes arguments that are not JSON": server.call("find_tasks", '{"search": '),
        "writes arguments of another kind": server.call("find_tasks", "[[[]]]"),
        "leaves out what is required": server.call("add_tasks", {}),
    },
}


@pytest.mark.parametrize("number", range(4))
def test_nonsense_goes_back_to_the_model_twice(
    assisted: Assisted, model: ModelServer, alice: Person, number: int
) -> None:
    answer = list(NONSENSE[assisted.mode].values())[number]
    make_fine(assisted, model, alice)
    model.follow(answer)
    model.requests.clear()

    found = send(alice)

    assert found["degraded"]
    assert found["degraded_reason"] in {"invalid", "timeout"}
    assert len(model.requests) <= 3
    assert read(alice.http.get("/api/v1/tasks"))["items"] == []


def test_a_loop_without_an_end_is_ended(
    assisted: Assisted, model: ModelServer, alice: Person
) -> None:
    make_fine(assisted, model, alice)
    model.follow(server.call("overview", {}))
    model.requests.clear()

    found = send(alice)

    assert found["degraded_reason"] in {"invalid", "timeout"}
    assert 1 <= len(model.requests) <= 8


@pytest.mark.parametrize("assisted", ["tools"], indirect=True)
def test_a_call_in_pieces_is_carried_out_and_can_be_undone(
    assisted: Assisted, model: ModelServer, alice: Person
) -> None:
    make_fine(assisted, model, alice)
    done = server.say("It is on your list.")
    model.follow(server.call("add_tasks", {"tasks": [{"title": "Water the plants"}]}), done)
    wait_until(lambda: not send(alice)["degraded"], "an answer of the model", within_s=600)

    (task,) = read(alice.http.get("/api/v1/tasks"))["items"]

    assert task["title"] == "Water the plants"
    assert send(alice, "undo")["degraded_reason"] is None
    assert read(alice.http.get("/api/v1/tasks"))["items"] == []
    messages = [each for request in model.requests for each in request["messages"]]
    assert "tool" in {each["role"] for each in messages}
