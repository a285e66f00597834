import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from tests.unit.todo.server.fake_connection import GET, POST, World, echo


def test_head_and_body_are_one_write() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(GET, GET)
        assert world.bodies == [b"nothing", b"nothing"]
        assert world.connection.has_responded
        assert not world.connection.busy
        assert not world.transport.closed

    asyncio.run(scenario())


def test_a_request_may_come_byte_by_byte() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(*(bytes([byte]) for byte in POST + b"abcdef" + GET))
        assert world.bodies == [b"abcdef", b"nothing"]

    asyncio.run(scenario())


def test_requests_ahead_are_answered_in_order() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(POST + b"first!" + POST + b"second" + GET)
        await world.rest()
        await world.rest()
        assert world.bodies == [b"first!", b"second", b"nothing"]

    asyncio.run(scenario())


def test_who_sends_too_much_ahead_is_not_read_until_it_is_wanted() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await echo(scope, receive, send)

        world = World(late)
        await world.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        await world.say(b"x" * 50_000)
        assert world.transport.reading
        await world.say(b"x" * 49_999)
        assert not world.transport.reading
        go.set()
        await world.rest()
        assert world.transport.reading
        await world.say(b"x")
        assert world.bodies == [b"x" * 100_000]

    asyncio.run(scenario())


def test_who_sends_requests_ahead_without_end_is_not_read_meanwhile() -> None:
    async def scenario() -> None:
        world = World(echo)
        batch = GET * 1000
        sent = most = 0
        for _ in range(200):
            if world.transport.reading:
                world.connection.data_received(batch)
                sent += 1000
            most = max(most, sent - len(world.transport.writes))
            await asyncio.sleep(0)
        assert most <= 4000
        while len(world.transport.writes) < sent:
            await world.rest()
        assert world.transport.reading
        await world.say(GET)
        assert len(world.transport.writes) == sent + 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"\x16\x03\x01", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, 431),
        (b"GET /" + b"x" * 20_000, 414),
    ],
)
def test_what_is_not_a_request_is_answered_and_ends_the_connection(odd: bytes, status: int) -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(GET, odd, GET)
        assert world.bodies[0] == b"nothing"
        refused = world.transport.writes[1]
        assert refused.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nconnection: close\r\n" in refused
        assert len(world.transport.writes) == 2
        assert world.transport.ended

    asyncio.run(scenario())


@pytest.mark.parametrize("behind", [b"", b"\r\n", GET])
def test_a_client_can_say_that_its_request_is_the_last(behind: bytes) -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(GET, GET[:-2] + b"Connection: close\r\n\r\n" + behind, GET)
        assert len(world.transport.writes) == 2
        first, last = (each.partition(b"\r\n\r\n")[0] for each in world.transport.writes)
        assert b"connection" not in first
        assert last.endswith(b"\r\nconnection: close") or b"\r\nconnection: close\r\n" in last
        assert world.transport.ended

    asyncio.run(scenario())


def test_a_request_that_needs_hypercorn_is_handed_over_and_the_connection_comes_back() -> None:
    async def scenario() -> None:
        world = World(echo)
        expecting = POST[:-2] + b"Expect: 100-continue\r\n\r\n"
        await world.say(GET + expecting + b"abcdef" + GET)
        await world.rest()
        await world.rest()
        assert world.owner.handed_over == ["HYPERCORN"]
        assert world.bodies == [b"nothing", b"abcdef", b"nothing"]

    asyncio.run(scenario())


def test_an_empty_line_before_a_request_is_ignored() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(b"\r\n" + GET, b"\r", b"\n", GET)
        assert world.bodies == [b"nothing", b"nothing"]

    asyncio.run(scenario())


def test_a_connection_owes_an_answer_once_its_request_has_arrived() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await echo(scope, receive, send)

        world = World(late)
        owes = [world.connection.owes_first_response]
        for part in (POST[:10], POST[10:], b"abc", b"def"):
            await world.say(part)
            owes.append(world.connection.owes_first_response)
        go.set()
        await world.rest()
        owes.append(world.connection.owes_first_response)
        assert owes == [False, False, False, False, True, False]

    asyncio.run(scenario())
