"""Requests to model servers, and all forms of their answers."""

import json
from typing import Any

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.client_use import REQUEST, ask, make_settings, run
from tests.integration.assistant.model_server import Answer, ModelServer, delta
from todo.assistant.model.client import ModelRequest, ModelToolCall
from todo.assistant.model.http_client import HttpModelClient

CALL = ModelToolCall("call_1", "add_tasks", '{"tasks": [{"title": "Milk"}]}')


def piece(arguments: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - as call_piece has it
    return delta(calls=[server.call_piece(arguments, **given)])


def whole(message: dict[str, Any], reason: str = "stop") -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    counts = {"prompt_tokens": 5, "completion_tokens": 2}
    body = {"object": "chat.completion", "choices": [choice], "usage": counts}
    return server.respond("200 OK", json.dumps(body).encode())


TEXTS = {
    "word by word": server.say("Hello there"),
    "without counts": server.events(delta("Hello"), delta(" there"), delta(finish="stop")),
    "with nulls and thoughts": server.events(
        delta(None),
        {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]},
        {"choices": None},
        delta("Hello there", finish="stop"),
    ),
    "with comments, event names and empty choices": server.stream_raw(
        b": ping\n\nevent: message\r\ndata: ",
        json.dumps(delta("Hello there", finish="length")).encode(),
        b'\r\n\r\ndata: {"choices": []}\n\ndata: [DONE]\n\n',
    ),
    "cut within a character": server.stream_raw(
        *(bytes([byte]) for byte in f"data: {json.dumps(delta('Hello there'))}\n\n".encode()),
        b"data:[DONE]\n\n",
    ),
    "without the mark of the end": server.stream_raw(
        f"data: {json.dumps(delta('Hello there', finish='stop'))}".encode()
    ),
    "as one object": whole({"content": "Hello there"}),
    "of several choices": server.events(
        {"choices": [{"index": 1, "delta": {"content": "No"}}]}, delta("Hello there", finish="stop")
    ),
}


@pytest.mark.parametrize("answer", TEXTS.values(), ids=TEXTS)
def test_a_text_is_joined(model: ModelServer, answer: Answer) -> None:
    model.follow(answer)

    found = ask(make_settings(model.url))

    assert (found.text, found.calls) == ("Hello there", ())
    assert found.prompt_tokens > 0
    assert found.output_tokens > 0


HALVES = (CALL.arguments[:9], CALL.arguments[9:])


CALLS = {
    "in pieces": server.call(CALL.name, CALL.arguments),
    "in one piece": server.events(
        piece(CALL.arguments, name=CALL.name, identifier=CALL.id), delta(finish="tool_calls")
    ),
    "with the reason stop": server.events(
        piece(HALVES[0], name=CALL.name, identifier=CALL.id),
        piece(HALVES[1]),
        delta(finish="stop"),
    ),
    "with the id in each piece": server.events(
        piece(HALVES[0], name=CALL.name, identifier=CALL.id),
        piece(HALVES[1], name=CALL.name, identifier=CALL.id),
        delta(finish="stop"),
    ),
    "without an index": server.events(
        piece(HALVES[0], name=CALL.name, identifier=CALL.id, index=None),
        piece(HALVES[1], index=None),
        delta(finish="stop"),
    ),
    "as one object": whole(
        {
            "content": None,
            "tool_calls": [
                server.call_piece(CALL.arguments, name=CALL.name, identifier=CALL.id, index=None)
            ],
        }
    ),
}


@pytest.mark.parametrize("answer", CALLS.values(), ids=CALLS)
def test_a_call_is_joined(model: ModelServer, answer: Answer) -> None:
    model.follow(answer)

    found = ask(make_settings(model.url))

    assert (found.text, found.calls) == ("", (CALL,))


def test_text_arrives_piece_by_piece(model: ModelServer) -> None:
    model.follow(server.say("Hello there"))
    pieces: list[str] = []

    async def on_text(text: str) -> None:
        pieces.append(text)

    ask(make_settings(model.url), on_text=on_text)

    assert pieces == ["Hello", " there"]


def test_a_request_has_the_form_of_chat_completions(model: ModelServer) -> None:
    model.follow(server.say("Hello there"))
    tool = {"type": "function", "function": {"name": "add_tasks", "parameters": {}}}
    schema = {"type": "object"}
    request = ModelRequest(REQUEST.messages, tools=[tool], schema=schema, max_tokens=99)

    ask(make_settings(model.url, ai_model="small"), request)

    assert model.requests == [
        {
            "model": "small",
            "messages": list(REQUEST.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 99,
            "temperature": 0,
            "tools": [tool],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        }
    ]
    assert "accept-encoding: identity" in model.heads[0].lower()


def test_what_a_server_does_not_know_is_left_out_from_then_on(model: ModelServer) -> None:
    def refuse(name: str) -> Answer:
        error = {"message": f"Unsupported parameter: '{name}'", "param": name}
        return server.respond("400 Bad Request", json.dumps({"error": error}).encode())

    model.follow(refuse("max_tokens"), refuse("temperature"), server.say("Hello there"))

    async def use(client: HttpModelClient) -> list[str]:
        return [(await client.ask(REQUEST)).text for _ in range(2)]

    assert run(make_settings(model.url), use) == ["Hello there"] * 2
    assert len(model.requests) == 4
    for body in model.requests[2:]:
        assert body["max_completion_tokens"] == 512
        assert not {"max_tokens", "temperature"} & body.keys()


def test_a_request_that_cannot_be_encoded_is_an_error(model: ModelServer) -> None:
    request = ModelRequest([{"role": "user", "content": "\ud83d"}])

    assert ask(make_settings(model.url), request).reason == "invalid"
    assert model.requests == []
