"""Choice of the request mode of a model by one test."""

import asyncio

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.client_use import HANGS_S, make_settings, run
from tests.integration.assistant.desk import UNDECIDED
from tests.integration.assistant.model_faults import nest_object
from tests.integration.assistant.model_server import Answer, ModelServer, delta
from tests.integration.assistant.turn_world import Play, TurnWorld
from tests.machine_clock import wait_until
from todo.assistant.model.client import ModelError
from todo.assistant.model.http_client import HttpModelClient

PROBES = {
    "calls": (server.call("set_number", {"number": 7}), "tools"),
    "calls with another number": (server.call("set_number", {"number": 8}), "json_schema"),
    "calls another tool": (server.call("other", {"number": 7}), "json_schema"),
    "writes the call as text": (server.say('{"name": "set_number"}'), "json_schema"),
    "calls with an object in objects": (
        server.events(
            delta(calls=[{"function": {"name": "set_number", "arguments": nest_object(333)}}])
        ),
        "json_schema",
    ),
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


def test_the_first_message_starts_the_test_and_does_not_wait_for_it(
    play: Play, model: ModelServer
) -> None:
    model.follow(server.call("set_number", {"number": 7}), server.say("Hello there"))

    async def act(world: TurnWorld) -> None:
        # The first message makes the real one.
        world.state.assistant = None
        assert model.requests == []
        await world.send("add buy milk").read()
        await asyncio.to_thread(wait_until, lambda: model.requests, "the test", within_s=60)
        assert not (await world.send(UNDECIDED).read())["degraded"]
        assert len(model.requests) == 2

    play(act, ai_url=model.url)


def test_a_stop_does_not_wait_for_the_test(play: Play, model: ModelServer) -> None:
    model.follow(server.hang)

    async def act(world: TurnWorld) -> None:
        world.state.assistant = None
        await world.send("add buy milk").read()
        await asyncio.to_thread(wait_until, lambda: model.requests, "the test", within_s=60)

    play(act, ai_url=model.url, ai_first_token_timeout_s=3600, ai_run_timeout_s=3600)
    wait_until(lambda: model.open_connections == 0, "no connection", within_s=60)
