"""Memory of turns: none of a thousand leaves an object behind."""

import asyncio
import gc
import logging
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import pytest

from tests.integration.assistant import model_server as server
from tests.integration.assistant.desk import UNDECIDED
from tests.integration.assistant.model_server import Answer, ModelServer, delta
from tests.integration.assistant.turn_world import STREAM, Exchange, Play, TurnWorld
from tests.machine_clock import wait_until

WARM_UP = 200
"""Turns until pools, caches and the timers that wait have their size."""
TURNS = 1000
ALLOWED = 100
"""Objects of one type: fewer than one for each turn of a kind."""
VARYING = {
    "blocks",
    "objects",
    # Cursors of a connection to SQLite, of which it forgets many at once.
    *("weakref.ReferenceType", "builtins.builtin_function_or_method"),
    # Timers that were canceled, of which an event loop forgets many at once.
    *("asyncio.events.TimerHandle", "_contextvars.Context"),
}
ALLOWED_VARYING = 800
"""Fewer than one object for each turn; without a leak it is up to 400."""


@dataclass(frozen=True)
class Kind:
    """A kind of turn: what the person sends, what the model answers, and how it ends."""

    message: str
    answers: tuple[Answer, ...]
    end: Callable[[Exchange, ModelServer], Awaitable[None]]
    headers: Mapping[str, str] = field(default_factory=dict)


async def read(exchange: Exchange, _model: ModelServer) -> None:
    await exchange.read()


async def read_events(exchange: Exchange, _model: ModelServer) -> None:
    assert (await exchange.read_events())[-1][0] == "done"


async def leave_within_the_text(exchange: Exchange, _model: ModelServer) -> None:
    await exchange.wait_for(b"event: text")
    await exchange.leave()


async def leave_while_the_model_thinks(exchange: Exchange, model: ModelServer) -> None:
    await asyncio.to_thread(wait_until, lambda: model.requests, "a request", within_s=60)
    await exchange.leave()


HELLO = server.say("Hello there")
KINDS = (
    Kind(UNDECIDED, (HELLO,), read),
    Kind(UNDECIDED, (HELLO,), read_events, STREAM),
    Kind("add buy milk", (), read),
    Kind(UNDECIDED, (server.hang_after(delta("Hel")),), leave_within_the_text, STREAM),
    Kind("undo", (), read_events, STREAM),
    Kind(UNDECIDED, (server.call("overview", {}), HELLO), read),
    Kind(UNDECIDED, (server.respond("500 Internal Server Error"),), read),
    Kind(UNDECIDED, (server.hang,), leave_while_the_model_thinks),
)


async def take_turns(world: TurnWorld, model: ModelServer, count: int) -> None:
    """Take turns of all kinds, a few in each conversation."""
    conversation: dict[str, str] = {}
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        if kind is KINDS[0]:
            conversation = {}
        model.requests.clear()
        model.heads.clear()
        model.follow(*kind.answers)
        exchange = world.send(kind.message, **conversation, **kind.headers)
        await kind.end(exchange, model)
        if not conversation:
            conversation = {"conversation_id": (await exchange.read())["conversation_id"]}


async def count_objects(world: TurnWorld) -> Counter[str]:
    """Return how many objects there are of each type, and blocks of memory of all."""
    await world.wait_for_rest()
    gc.collect()
    found = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.get_objects())
    return found + Counter(objects=found.total(), blocks=sys.getallocatedblocks())


def limit(name: str) -> int:
    return ALLOWED_VARYING if name in VARYING else ALLOWED


def test_a_thousand_turns_leave_no_object_behind(
    play: Play, model: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    # pytest keeps what is logged.
    caplog.set_level(logging.CRITICAL, "todo.assistant")

    async def act(world: TurnWorld) -> None:
        # The first message makes the real one.
        world.state.assistant = None
        await take_turns(world, model, WARM_UP)
        before = await count_objects(world)
        await take_turns(world, model, TURNS)
        grown = await count_objects(world) - before
        assert {name: count for name, count in grown.items() if count > limit(name)} == {}

    limits = {"rate_limit_per_minute": 0, "ai_turns_per_minute": 0, "ai_tool_calls_per_hour": 0}
    play(act, ai_url=model.url, ai_mode="tools", ai_concurrency=10, **limits)
