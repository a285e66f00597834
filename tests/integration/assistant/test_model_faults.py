"""Faults of model servers: each is an error with its reason, within its limit, and counted.

No test judges how long something takes: a short limit is given to the client as an option where the
server hangs, and a long one everywhere else.
"""

import asyncio
import json

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.client_use import (
    HANGS_S,
    REQUEST,
    ask,
    fail,
    make_settings,
    run,
    sample,
)
from tests.integration.assistant.model_faults import FAULTS
from tests.integration.assistant.model_server import Answer, ModelServer, delta
from tests.machine_clock import wait_until
from todo.assistant.model.client import ModelError, TokenCount
from todo.assistant.model.http_client import HttpModelClient
from todo.observability.assistant_metrics import AssistantMetrics


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
        (error,) = await fail(client, 1, timeout_s=HANGS_S if limit == "caller" else None)
        return error.reason

    settings = make_settings(model.url, ai_run_timeout_s=HANGS_S if limit == "option" else 600)
    assert run(settings, use) == "timeout"


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
        (server.close_after(delta(calls=[server.call_piece("x" * 37, name="add")])), 10),
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


def test_a_server_that_is_down_is_left_alone(model: ModelServer) -> None:
    model.follow(server.respond("500 Internal Server Error"))
    metrics = AssistantMetrics()

    async def use(client: HttpModelClient) -> list[str]:
        return [error.reason for error in await fail(client, 5)]

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
        return await fail(client, 2)

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
        await fail(client, 5)
        return client.breaker.state

    assert run(make_settings(model.url), use) == "closed"


@pytest.mark.parametrize(("silent_s", "state"), [(HANGS_S * 2, "open"), (600, "closed")])
def test_callers_in_a_hurry_find_out_together_that_a_server_hangs(
    model: ModelServer, silent_s: float, state: str
) -> None:
    model.follow(server.hang)

    async def use(client: HttpModelClient) -> str:
        await fail(client, 6, timeout_s=HANGS_S)
        return client.breaker.state

    settings = make_settings(model.url, ai_first_token_timeout_s=silent_s)
    assert run(settings, use) == state
