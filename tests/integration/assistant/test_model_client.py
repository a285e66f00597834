"""The client against a real socket: every way in which servers answer, and in which they fail.

No test judges how long something takes: a short limit is given to the client as an option where the
server hangs, and a long one everywhere else.
"""

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.model_faults import FAULTS
from tests.integration.assistant.model_server import Answer, ModelServer, delta, open_model_server
from tests.integration.certificates import Authority
from tests.machine_clock import wait_until
from todo.assistant.model.client import (
    ModelAnswer,
    ModelError,
    ModelRequest,
    ModelToolCall,
    OnText,
    TokenCount,
)
from todo.assistant.model.http_client import HttpModelClient
from todo.config.settings import Settings
from todo.observability.assistant_metrics import AssistantMetrics

HANGS_S = 0.2
"""The limit where the server hangs."""
REQUEST = ModelRequest(messages=[{"role": "user", "content": "hello"}])
CALL = ModelToolCall("call_1", "add_tasks", '{"tasks": [{"title": "Milk"}]}')


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A model server on loopback."""
    with open_model_server() as started:
        yield started


def make_settings(url: str, **options: Any) -> Settings:  # noqa: ANN401 - any option
    limits = {"ai_connect_timeout_s": 60, "ai_first_token_timeout_s": 600, "ai_run_timeout_s": 600}
    return Settings(ai_url=url, **{**limits, **options})


def run(
    settings: Settings,
    use: Callable[[HttpModelClient], Coroutine[Any, Any, Any]],
    metrics: AssistantMetrics | None = None,
) -> Any:  # noqa: ANN401 - what the use returns
    async def scenario() -> Any:  # noqa: ANN401
        client = HttpModelClient(settings, metrics or AssistantMetrics())
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(scenario())


def ask(settings: Settings, request: ModelRequest = REQUEST, on_text: OnText | None = None) -> Any:  # noqa: ANN401
    """Return the answer, or the error."""

    async def use(client: HttpModelClient) -> ModelAnswer | ModelError:
        try:
            return await client.ask(request, on_text)
        except ModelError as error:
            return error

    return run(settings, use)


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


@pytest.mark.parametrize(("answer", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_an_error_with_its_reason_and_leaves_no_connection(
    model: ModelServer, answer: Answer, reason: str
) -> None:
    model.follow(answer)
    limits = {"ai_first_token_timeout_s": HANGS_S} if reason == "timeout" else {}

    found = ask(make_settings(model.url, **limits))

    assert isinstance(found, ModelError), found
    assert (found.reason, len(model.requests)) == (reason, 1)
    wait_until(lambda: model.open_connections == 0, "no connection", within_s=60)


@pytest.mark.parametrize("limit", ["option", "caller"])
def test_a_whole_answer_is_limited_while_tokens_arrive(model: ModelServer, limit: str) -> None:
    model.follow(server.repeat(f"data: {json.dumps(delta('x'))}\n\n".encode(), 0.01))

    async def use(client: HttpModelClient) -> str:
        with pytest.raises(ModelError) as caught:
            await client.ask(REQUEST, timeout_s=HANGS_S if limit == "caller" else None)
        return caught.value.reason

    settings = make_settings(model.url, ai_run_timeout_s=HANGS_S if limit == "option" else 600)
    assert run(settings, use) == "timeout"


def test_a_server_that_is_absent_or_refuses_connections_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    for url in (
        f"unix:{tmp_path}/absent.sock",
        f"http://127.0.0.1:{port}/v1",
        "https://999.1.1.1/v1",
        "https://xn--a/v1",
    ):
        assert ask(make_settings(url)).reason == "unreachable"


def test_a_unix_socket_works_as_well(tmp_path: Path) -> None:
    with open_model_server(tmp_path / "model.sock") as model:
        model.follow(server.say("Hello there"))

        assert ask(make_settings(model.url)).text == "Hello there"
        assert model.heads[0].startswith("POST /v1/chat/completions HTTP/1.1")


def test_the_certificate_is_verified_with_what_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority("the operator's own")
    certificate, key, trusted = (tmp_path / name for name in ("certificate", "key", "trusted"))
    authority.issue("localhost", certificate, key)
    trusted.write_bytes(authority.certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with open_model_server(tls=tls) as model:
        model.follow(server.say("Hello there"))
        stranger = ask(make_settings(model.url))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        known = ask(make_settings(model.url))

    assert (stranger.reason, known.text) == ("unreachable", "Hello there")
    assert "CERTIFICATE_VERIFY_FAILED" in str(stranger)


def test_a_server_that_does_not_finish_the_handshake_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"

        assert ask(make_settings(url, ai_connect_timeout_s=HANGS_S)).reason == "unreachable"


def test_text_arrives_piece_by_piece(model: ModelServer) -> None:
    model.follow(server.say("Hello there"))
    pieces: list[str] = []

    async def on_text(text: str) -> None:
        pieces.append(text)

    ask(make_settings(model.url), on_text=on_text)

    assert pieces == ["Hello", " there"]


def test_a_canceled_request_leaves_no_connection(model: ModelServer) -> None:
    model.follow(server.hang_after(delta("Hel")))
    metrics = AssistantMetrics()

    async def use(client: HttpModelClient) -> str:
        arrived = asyncio.Event()

        async def on_text(_text: str) -> None:
            arrived.set()

        asking = asyncio.ensure_future(client.ask(REQUEST, on_text))
        await arrived.wait()
        asking.cancel()
        await asyncio.wait({asking})
        return client.breaker.state

    assert run(make_settings(model.url), use, metrics) == "closed"
    wait_until(lambda: model.open_connections == 0, "no connection", within_s=60)
    assert sample(metrics, "todo_assistant_model_requests_open") == 0
    assert sample(metrics, "todo_assistant_model_requests_total", outcome="canceled") == 1
    # The server charges for what it has read and written.
    assert sample(metrics, "todo_assistant_tokens_total", kind="prompt") > 0
    assert sample(metrics, "todo_assistant_tokens_total", kind="output") == 1


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (server.close_after(delta("x" * 40)), 10),
        (server.close_after(piece("x" * 37, name="add")), 10),
        (server.events(delta("")), 0),
        (server.respond("401 No"), None),
        (server.respond("500 Internal Server Error"), None),
    ],
)
def test_what_a_failed_request_has_used_is_known(
    model: ModelServer, answer: Answer, output: int | None
) -> None:
    model.follow(answer)
    used = TokenCount()

    async def use(client: HttpModelClient) -> None:
        with pytest.raises(ModelError):
            await client.ask(REQUEST, used=used)

    run(make_settings(model.url), use)

    assert (used.prompt > 0, used.output) == (output is not None, output or 0)


def sample(metrics: AssistantMetrics, name: str, **labels: str) -> float:
    (value,) = (
        each.value
        for family in metrics.collect()
        for each in family.samples
        if each.name == name and each.labels == labels
    )
    return value


def test_a_server_that_is_down_is_left_alone(model: ModelServer) -> None:
    model.follow(server.respond("500 Internal Server Error"))
    metrics = AssistantMetrics()

    async def use(client: HttpModelClient) -> list[str]:
        reasons: list[str] = []
        for _ in range(5):
            with pytest.raises(ModelError) as caught:
                await client.ask(REQUEST)
            reasons.append(caught.value.reason)
        return reasons

    assert run(make_settings(model.url), use, metrics) == [
        *["server-error"] * 3,
        *["breaker-open"] * 2,
    ]
    assert len(model.requests) == 3
    assert sample(metrics, "todo_assistant_model_requests_total", outcome="breaker-open") == 2


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_server_is_not_asked_before_the_time_that_it_has_named(
    model: ModelServer, status: str
) -> None:
    model.follow(server.respond(status, headers={"Retry-After": "200"}))

    async def use(client: HttpModelClient) -> list[ModelError]:
        errors = []
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                await client.ask(REQUEST)
            errors.append(caught.value)
        return errors

    first, second = run(make_settings(model.url), use)

    assert first.reason == second.reason
    assert 0 < second.retry_after_s <= 200
    assert len(model.requests) == 1


@pytest.mark.parametrize("answer", [server.respond("401 No"), server.events(delta(""))])
def test_refusals_and_empty_answers_do_not_open_the_breaker(
    model: ModelServer, answer: Answer
) -> None:
    model.follow(answer)

    async def use(client: HttpModelClient) -> str:
        for _ in range(5):
            with pytest.raises(ModelError):
                await client.ask(REQUEST)
        return client.breaker.state

    assert run(make_settings(model.url), use) == "closed"


def test_the_key_is_sent_and_never_logged(
    model: ModelServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "key"
    key.write_text("sk-sesame\n")
    body = b'{"error": {"message": "wrong key sk-sesame for hello", "type": "invalid_api_key"}}'
    model.follow(server.respond("401 Unauthorized", body))

    with caplog.at_level(logging.INFO):
        found = ask(make_settings(model.url, ai_key_file=key))

    assert "Authorization: Bearer sk-sesame" in model.heads[0]
    assert "invalid_api_key" in caplog.text
    assert "sesame" not in f"{caplog.text} {found!r} {found}"
    assert "hello" not in caplog.text


def test_no_proxy_of_the_environment_is_used(
    model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    model.follow(server.say("Hello there"))

    assert getattr(ask(make_settings(model.url)), "text", "") == "Hello there"


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


PROBES = {
    "calls": (server.call("set_number", {"number": 7}), "tools"),
    "calls with another number": (server.call("set_number", {"number": 8}), "json_schema"),
    "calls another tool": (server.call("other", {"number": 7}), "json_schema"),
    "writes the call as text": (server.say('{"name": "set_number"}'), "json_schema"),
    "writes nothing": (server.events(delta(finish="length")), "json_schema"),
    "has no tools": (
        server.respond("400 Bad Request", b'{"error": {"message": "no tools"}}'),
        "json_schema",
    ),
}


@pytest.mark.parametrize(("answer", "mode"), PROBES.values(), ids=PROBES)
def test_the_mode_is_found_once(model: ModelServer, answer: Answer, mode: str) -> None:
    model.follow(answer)

    async def use(client: HttpModelClient) -> list[str]:
        return list(await asyncio.gather(client.get_mode(), client.get_mode()))

    assert run(make_settings(model.url), use) == [mode, mode]
    assert len(model.requests) == 1


def test_who_waits_for_the_test_of_another_has_a_limit_as_well(model: ModelServer) -> None:
    model.follow(server.hang)

    async def use(client: HttpModelClient) -> tuple[str, str]:
        first = asyncio.ensure_future(client.get_mode())
        await asyncio.to_thread(wait_until, lambda: model.requests, "a request", within_s=60)
        with pytest.raises(ModelError) as caught:
            await client.get_mode(timeout_s=HANGS_S)
        first.cancel()
        await asyncio.wait({first})
        return caught.value.reason, client.breaker.state

    assert run(make_settings(model.url), use) == ("timeout", "closed")


@pytest.mark.parametrize(("silent_s", "state"), [(HANGS_S * 2, "open"), (600, "closed")])
def test_callers_in_a_hurry_find_out_together_that_a_server_hangs(
    model: ModelServer, silent_s: float, state: str
) -> None:
    model.follow(server.hang)

    async def use(client: HttpModelClient) -> str:
        for _ in range(6):
            with pytest.raises(ModelError):
                await client.ask(REQUEST, timeout_s=HANGS_S)
        return client.breaker.state

    settings = make_settings(model.url, ai_first_token_timeout_s=silent_s)
    assert run(settings, use) == state


def test_a_request_that_cannot_be_encoded_is_an_error(model: ModelServer) -> None:
    request = ModelRequest([{"role": "user", "content": "\ud83d"}])

    assert ask(make_settings(model.url), request).reason == "invalid"
    assert model.requests == []


def test_a_mode_that_could_not_be_found_is_tried_again(model: ModelServer) -> None:
    model.follow(server.respond("500 No"), server.call("set_number", {"number": 7}))

    async def use(client: HttpModelClient) -> str:
        with pytest.raises(ModelError):
            await client.get_mode()
        return await client.get_mode()

    assert run(make_settings(model.url), use) == "tools"


def test_a_mode_that_is_configured_needs_no_test(model: ModelServer) -> None:
    async def use(client: HttpModelClient) -> str:
        return await client.get_mode()

    assert run(make_settings(model.url, ai_mode="json_schema"), use) == "json_schema"
    assert model.requests == []
