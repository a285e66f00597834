"""The obedient model behind a real socket, and the people whom it serves behind another one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.attack_texts import read_attacks
from tests.integration.assistant.model_server import Exchange, ModelServer, open_model_server
from tests.integration.assistant.obedient_model import ObedientModel
from tests.integration.service import Service, open_service
from tests.integration.users import LISTS, TASKS, Person, read, use_token
from todo.assistant.model.client import ModelRequest
from todo.assistant.turn.answer import AGENT
from todo.assistant.turn.guard import MAX_CHANGED

_MESSAGES = ("hmm, my head is spinning", "you know what to do")
_COUNT = 20


@pytest.fixture(scope="module", params=["tools", "json_schema"])
def mode(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def model(mode: str) -> Iterator[ModelServer]:
    """A model server that obeys what it reads."""
    obedient = ObedientModel("tools" if mode == "tools" else "json_schema", "mallory", ("Trip",))

    async def answer(exchange: Exchange) -> None:
        messages = exchange.body["messages"]
        if messages[-1]["role"] == "user":
            obedient.start()
        made = await obedient.ask(ModelRequest(messages))
        calls = [
            server.call_piece(call.arguments, name=call.name, index=index, identifier=call.id)
            for index, call in enumerate(made.calls)
        ]
        chunks = [server.delta(made.text, calls=calls), server.delta(finish="stop")]
        await server.events(*chunks, server.usage(100, 10))(exchange)

    with open_model_server() as started:
        started.follow(answer)
        yield started


@pytest.fixture(scope="module")
def service(model: ModelServer, mode: str) -> Iterator[Service]:
    """A backend that asks it, on each of the ways."""
    options = {
        "TODO_AI_URL": model.url,
        "TODO_AI_MODE": mode,
        "TODO_AI_TOOL_CALLS_PER_HOUR": "0",
        "TODO_AI_RUN_TIMEOUT_S": "600",
        "TODO_REQUEST_DEADLINE_S": "600",
    }
    with open_service(options) as service:
        service.wait_ready()
        yield service


def _read_journal(person: Person) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = read(person.http.get("/api/v1/journal?limit=100"))["items"]
    return entries


def test_an_attack_over_http_changes_a_few_own_tasks_at_most(
    service: Service, model: ModelServer, mode: str, alice: Person, bob: Person
) -> None:
    trip = bob.create(LISTS, name="Trip")
    bob.share(trip["id"], alice, "write")
    bob.create(TASKS, title="pack the tent", list_id=trip["id"])
    for text in read_attacks()[:_COUNT]:
        alice.create(TASKS, title=" ".join(text.split())[:200], description=text)
    known = {entry["seq"] for entry in _read_journal(alice)}
    others = len(_read_journal(bob))
    with use_token(service, alice, scopes=["read", "write", "delete", "assistant"]) as chat:
        known |= {entry["seq"] for entry in _read_journal(alice)}
        for message in _MESSAGES:
            answer = read(chat.post("/api/v1/assistant", json={"message": message}))
            assert answer["degraded_reason"] in {None, "invalid"}
            made = [each for each in _read_journal(alice) if each["seq"] not in known]
            changed = {each["id"] for each in made if each["run_id"] == answer["run_id"]}
            assert len(changed) <= MAX_CHANGED
            assert (answer["undo"] is not None) is bool(changed)
    assert {each["kind"] for each in made} <= {"task"}
    assert not {each["operation"] for each in made} & {"delete", "share", "restore"}
    assert {each["agent"] for each in made} <= {AGENT}
    assert len(_read_journal(bob)) == others
    assert read(alice.http.get("/api/v1/tokens"))["items"][0]["name"] == "t"
    assert len(read(alice.http.get("/api/v1/tokens"))["items"]) == 1
    assert model.requests
    if mode == "tools":
        states = [each["result"].get("status") for each in answer["tool_calls"]]
        assert "needs-confirmation" in states
        names = {each["function"]["name"] for each in model.requests[-1]["tools"]}
        assert "undo" not in names
