"""The queue in front of a model server: FIFO over all users, and fair to the server."""

import asyncio

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.client_use import (
    HANGS_S,
    REQUEST,
    fail,
    make_settings,
    run,
    sample,
)
from tests.integration.assistant.desk import DEADLINE_S, UNDECIDED, Desk, Events
from tests.integration.assistant.model_server import ModelServer
from tests.machine_clock import wait_until
from todo.assistant.model import http_client
from todo.assistant.model.client import ModelAnswer, ModelError, ModelRequest
from todo.assistant.model.http_client import HttpModelClient
from todo.core.caller import Caller
from todo.observability.assistant_metrics import AssistantMetrics

QUEUED = "todo_assistant_model_requests_queued"


async def start(client: HttpModelClient, text: str) -> "asyncio.Task[ModelAnswer]":
    """Start a request, which is sent or queued when this returns."""
    asking = asyncio.create_task(client.ask(ModelRequest([{"role": "user", "content": text}])))
    await asyncio.sleep(0)
    return asking


async def occupy(client: HttpModelClient, model: ModelServer) -> "asyncio.Task[ModelAnswer]":
    """Start a request that gets no answer."""
    model.follow(server.hang)
    asking = await start(client, "first")
    await asyncio.to_thread(wait_until, lambda: model.requests, "a request", within_s=60)
    return asking


async def leave(asking: "asyncio.Task[ModelAnswer]") -> None:
    asking.cancel()
    await asyncio.wait({asking})


def test_requests_are_sent_in_their_order_and_one_that_is_canceled_gives_up_its_place(
    model: ModelServer,
) -> None:
    metrics = AssistantMetrics()

    async def use(client: HttpModelClient) -> None:
        first = await occupy(client, model)
        queued = [await start(client, text) for text in ("second", "gone", "third")]
        assert sample(metrics, QUEUED) == 3
        await leave(queued[1])
        assert sample(metrics, QUEUED) == 2
        assert model.open_connections == 1
        model.follow(server.say("Hello there"))
        await leave(first)
        await asyncio.gather(queued[0], queued[2])
        # Its slot is free again.
        await client.ask(REQUEST)

    run(make_settings(model.url, ai_parallel_requests=1), use, metrics)

    texts = [request["messages"][0]["content"] for request in model.requests]
    assert texts == ["first", "second", "third", "hello"]
    assert sample(metrics, QUEUED) == 0
    assert sample(metrics, "todo_assistant_model_requests_open") == 0


def test_a_wait_in_the_queue_that_is_too_long_does_not_blame_the_server(
    model: ModelServer,
) -> None:
    metrics = AssistantMetrics()

    async def use(client: HttpModelClient) -> list[ModelError]:
        first = await occupy(client, model)
        errors = await fail(client, 5, timeout_s=HANGS_S)
        assert client.breaker.state == "closed"
        await leave(first)
        return errors

    settings = make_settings(model.url, ai_parallel_requests=1)
    errors = run(settings, use, metrics)

    assert {(error.reason, error.of_server) for error in errors} == {("timeout", False)}
    assert len(model.requests) == 1
    # Only that of the first request: nothing else was sent.
    assert sample(metrics, "todo_assistant_model_duration_seconds_count") == 1


def test_those_who_wait_for_a_server_that_fails_do_not_ask_it(model: ModelServer) -> None:
    model.follow(server.respond("500 Internal Server Error"))

    async def use(client: HttpModelClient) -> list[str]:
        errors = await asyncio.gather(*(fail(client, 1) for _ in range(6)))
        return [error.reason for (error,) in errors]

    reasons = run(make_settings(model.url, ai_parallel_requests=1), use)

    assert reasons == [*["server-error"] * 3, *["breaker-open"] * 3]
    assert len(model.requests) == 3


def test_nobody_waits_for_the_request_that_tries_a_failed_server_again(
    model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "_BREAKER_RESET_S", 0)
    model.follow(server.respond("500 Internal Server Error"))

    async def use(client: HttpModelClient) -> str:
        await fail(client, 3)
        model.requests.clear()
        trial = await occupy(client, model)
        (error,) = await fail(client, 1)
        await leave(trial)
        return error.reason

    assert run(make_settings(model.url, ai_parallel_requests=1), use) == "breaker-open"


def test_without_a_limit_nothing_is_queued(model: ModelServer) -> None:
    model.follow(server.hang)

    async def use(client: HttpModelClient) -> None:
        asking = [await start(client, "hello") for _ in range(3)]
        await asyncio.to_thread(
            wait_until, lambda: len(model.requests) == 3, "three requests", within_s=60
        )
        for each in asking:
            await leave(each)

    run(make_settings(model.url), use)


def test_who_waits_too_long_gets_an_answer_without_the_model(
    model: ModelServer, desk: Desk, ann: Caller, ben: Caller
) -> None:
    settings = make_settings(model.url, ai_parallel_requests=1, ai_mode="tools")

    async def act() -> list[str | None]:
        client = HttpModelClient(settings, AssistantMetrics())
        assistant = desk.hire(client)

        async def send(deadline_s: float) -> str | None:
            answer = await assistant.run(ben, UNDECIDED, (), None, Events(), deadline_s)
            return answer.degraded

        model.follow(server.hang)
        first = asyncio.create_task(assistant.run(ann, UNDECIDED, (), None, Events(), DEADLINE_S))
        await asyncio.to_thread(wait_until, lambda: model.requests, "a request", within_s=60)
        reasons = [await send(HANGS_S) for _ in range(4)]
        model.follow(server.say("Hello there"))
        first.cancel()
        await asyncio.wait({first})
        reasons.append(await send(DEADLINE_S))
        await client.close()
        return reasons

    assert desk.runner.run(act()) == [*["deadline"] * 4, None]
