import asyncio
import socket

import pytest
from starlette.types import Receive, Scope, Send

from tests.unit.todo.server.fake_connection import (
    GET,
    POST,
    FakeOwner,
    FakeTransport,
    World,
    answer,
    echo,
)
from todo.server import http1
from todo.server.http1 import Connection
from todo.server.send_budget import SendBudget


def test_who_sent_too_much_ahead_is_read_again_when_the_connection_ends() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def last(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            await go.wait()
            await answer(send, b"bye", headers=[(b"connection", b"close")])

        world = World(last)
        await world.say(GET + b"x" * 100_000)
        await world.say(GET)
        assert not world.transport.reading
        go.set()
        await world.rest()
        assert world.bodies == [b"bye"]
        assert world.transport.reading

    asyncio.run(scenario())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_client_that_left_before_its_address_was_known_is_let_go(family: int) -> None:
    async def scenario() -> None:
        owner = FakeOwner(echo, 75.0)
        transport = FakeTransport(family, None)
        Connection(echo, owner).connection_made(transport)
        assert transport.closed
        assert owner.open == set()

    asyncio.run(scenario())


def test_a_client_that_ends_in_the_middle_of_a_head_is_refused() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(GET[:9])
        assert world.connection.eof_received()
        assert world.transport.writes[0].startswith(b"HTTP/1.1 400 ")
        assert world.transport.closed

    asyncio.run(scenario())


def test_a_client_that_ends_after_an_empty_line_is_let_go() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(GET, b"\r\n")
        assert not world.connection.eof_received()
        assert world.bodies == [b"nothing"]

    asyncio.run(scenario())


def test_what_comes_behind_the_last_answer_is_thrown_away_until_the_client_ends() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(b"nonsense\r\n\r\n", b"more", GET)
        assert len(world.transport.writes) == 1
        assert world.transport.reading
        assert not world.transport.closed
        assert not world.connection.eof_received()

    asyncio.run(scenario())


def test_a_connection_that_was_reset_while_nobody_read_is_let_go() -> None:
    async def scenario() -> None:
        world = World(echo)
        world.transport.is_reset = True
        await world.say(b"nonsense\r\n\r\n")
        assert world.transport.gone.is_set()

    asyncio.run(scenario())


def test_only_a_request_without_progress_is_ended() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(POST, b"abc")
        silent_since = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        await world.say(b"d")
        world.connection.end_stalled_request(silent_since)
        await world.say(b"ef")
        assert world.bodies == [b"abcdef"]

    asyncio.run(scenario())


def test_a_client_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_LINGER_S", 0.01)
    monkeypatch.setattr(http1, "_MAX_DISCARDED_BYTES", 100)

    async def scenario() -> None:
        slow, noisy = World(echo), World(echo)
        await slow.say(b"nonsense\r\n\r\n")
        await noisy.say(b"nonsense\r\n\r\n", b"x" * 100)
        assert noisy.transport.closed
        await asyncio.sleep(0.05)
        assert slow.transport.closed

    asyncio.run(scenario())


@pytest.mark.parametrize("lasts_s", [3600.0, 0.0])
def test_a_client_that_still_sends_is_read_for_a_while(
    lasts_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent_s = 1.0
    monkeypatch.setattr(http1, "_LINGER_S", silent_s)
    monkeypatch.setattr(http1, "_MAX_LINGER_S", lasts_s)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        # Timers see only this clock, however slow the machine is.
        monkeypatch.setattr(loop, "time", lambda: now)
        world = World(echo)
        await world.say(b"nonsense\r\n\r\n")
        for _ in range(5):
            await world.say(b"x")
            now += silent_s
            await world.rest()
        assert world.transport.closed == (lasts_s == 0.0)
        now += silent_s
        await world.rest()
        assert world.transport.closed

    asyncio.run(scenario())


def test_an_idle_client_that_ends_is_let_go() -> None:
    async def scenario() -> None:
        world = World(echo)
        assert not world.connection.eof_received()
        world.connection.connection_lost(None)
        assert world.owner.open == set()

    asyncio.run(scenario())


def test_a_client_that_only_listens_any_more_gets_its_answers_and_the_end() -> None:
    async def scenario() -> None:
        world = World(echo)
        world.connection.data_received(GET + GET + POST + b"abcdef")
        assert world.connection.eof_received()
        for _ in range(3):
            await world.rest()
        assert world.bodies == [b"nothing", b"nothing", b"abcdef"]
        assert world.transport.closed

    asyncio.run(scenario())


def test_the_connection_ends_with_the_response_that_says_so() -> None:
    async def last(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"bye", headers=[(b"connection", b"close")])

    async def scenario() -> None:
        world = World(last)
        await world.say(GET + GET)
        assert world.bodies == [b"bye"]
        assert world.transport.ended

    asyncio.run(scenario())


def test_a_body_that_nobody_read_to_its_end_ends_the_connection() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"no", status=413)

    async def scenario() -> None:
        world = World(refuse)
        await world.say(POST)
        assert world.bodies == [b"no"]
        assert b"\r\nconnection: close\r\n" in world.transport.writes[0]
        assert world.transport.ended

    asyncio.run(scenario())


def test_an_idle_connection_is_closed_after_its_time() -> None:
    async def scenario() -> None:
        world = World(echo, keep_alive_s=0.02)
        await world.say(GET)
        assert not world.transport.closed
        await asyncio.sleep(0.06)
        assert world.transport.closed

    asyncio.run(scenario())


def test_a_closed_connection_whose_client_takes_nothing_is_aborted() -> None:
    async def scenario() -> None:
        idle, finished, refused = World(echo, keep_alive_s=0.02), World(echo), World(echo)
        for world in (idle, finished, refused):
            world.owner.send_budget = SendBudget(stalled_s=0.02)
            world.transport.unsent = 10
        finished.connection.close_when_idle()
        await refused.say(GET[:9])
        refused.connection.eof_received()
        async with asyncio.timeout(60):
            for world in (idle, finished, refused):
                await world.transport.gone.wait()

    asyncio.run(scenario())


def test_a_closed_connection_is_forgotten_when_its_client_has_taken_all() -> None:
    async def scenario() -> None:
        world = World(echo)
        world.owner.send_budget = SendBudget(stalled_s=0.02)
        world.transport.unsent = 10
        world.connection.close_when_idle()
        world.connection.connection_lost(None)
        await asyncio.sleep(0.1)
        assert world.transport.closed
        assert not world.transport.gone.is_set()

    asyncio.run(scenario())


def test_a_finished_connection_closes_after_the_answer_that_it_owes() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await echo(scope, receive, send)

        world = World(late)
        await world.say(GET)
        world.connection.close_when_idle()
        assert not world.transport.closed
        go.set()
        await world.rest()
        assert world.bodies == [b"nothing"]
        assert world.transport.ended

    asyncio.run(scenario())


def test_a_request_ahead_is_not_started_when_its_client_is_gone() -> None:
    async def scenario() -> None:
        started = []
        go = asyncio.Event()

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            started.append(scope["method"])
            await go.wait()
            await echo(scope, receive, send)

        world = World(late)
        expecting = POST[:-2] + b"Expect: 100-continue\r\n\r\n"
        await world.say(expecting + b"abcdef" + GET)
        world.connection.connection_lost(None)
        go.set()
        await world.rest()
        assert started == ["POST"]

    asyncio.run(scenario())


def test_a_client_that_only_listens_any_more_is_not_reported_as_gone() -> None:
    async def scenario() -> None:
        told = []

        async def watchful(scope: Scope, receive: Receive, send: Send) -> None:
            del scope
            await receive()
            leaving = asyncio.ensure_future(receive())
            await asyncio.sleep(0.01)
            told.append(leaving.done())
            await answer(send, b"all", b"", headers=[(b"content-length", b"3")])
            assert (await leaving)["type"] == "http.disconnect"

        world = World(watchful)
        await world.say(GET)
        assert world.connection.eof_received()
        await asyncio.sleep(0.1)
        assert told == [False]
        assert b"".join(world.bodies) == b"all"

    asyncio.run(scenario())


@pytest.mark.parametrize("ends_first", [True, False])
def test_a_stream_ends_when_its_client_only_listens_any_more(*, ends_first: bool) -> None:
    async def scenario() -> None:
        go = asyncio.Event()
        heard = []

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            del scope
            await receive()
            if ends_first:
                await go.wait()
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            heard.append(await receive())

        world = World(stream)
        await world.say(GET)
        assert heard == []
        assert world.connection.eof_received()
        go.set()
        await world.rest()
        assert [message["type"] for message in heard] == ["http.disconnect"]

    asyncio.run(scenario())
