import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from tests.unit.todo.server.fake_connection import GET, World, answer


def test_the_application_learns_that_its_client_is_gone() -> None:
    async def scenario() -> None:
        heard = []

        async def wait(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, send
            heard.extend([await receive(), await receive()])

        world = World(wait)
        await world.say(GET)
        world.connection.connection_lost(None)
        await world.rest()
        assert [message["type"] for message in heard] == ["http.request", "http.disconnect"]

    asyncio.run(scenario())


def test_a_stream_goes_out_in_chunks_as_it_comes() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"one", b"", b"three", b"")

    async def scenario() -> None:
        world = World(stream)
        await world.say(GET)
        first, *rest = world.transport.writes
        assert first.endswith(b"\r\n\r\n3\r\none\r\n")
        assert rest == [b"5\r\nthree\r\n", b"0\r\n\r\n"]
        assert not world.transport.closed

    asyncio.run(scenario())


def test_a_stream_waits_for_a_client_that_is_behind() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"one", b"two", b"")

    async def scenario() -> None:
        world = World(stream)
        world.connection.pause_writing()
        await world.say(GET)
        assert len(world.transport.writes) == 1
        world.connection.resume_writing()
        await world.rest()
        assert len(world.transport.writes) == 3

    asyncio.run(scenario())


def test_a_head_alone_is_answered_to_head() -> None:
    async def text(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"text", headers=[(b"content-length", b"4")])

    async def scenario() -> None:
        world = World(text)
        await world.say(GET.replace(b"GET", b"HEAD"))
        assert world.bodies == [b""]
        assert b"content-length: 4" in world.transport.writes[0]

    asyncio.run(scenario())


def test_a_failing_application_is_answered_500_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        raise LookupError("deliberate")

    async def scenario() -> None:
        world = World(fail)
        await world.say(GET)
        assert world.transport.writes[0].startswith(b"HTTP/1.1 500 ")
        assert world.transport.ended

    asyncio.run(scenario())
    assert "deliberate" in caplog.text


@pytest.mark.parametrize("length", [b"3", b"5"])
def test_a_response_that_contradicts_its_length_is_not_sent(
    length: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def text(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"text", headers=[(b"content-length", length)])

    async def scenario() -> None:
        world = World(text)
        await world.say(GET)
        assert world.transport.writes[0].startswith(b"HTTP/1.1 500 ")
        assert world.transport.ended

    asyncio.run(scenario())
    assert "announced with" in caplog.text


def test_a_response_that_breaks_off_ends_the_connection() -> None:
    async def part(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})

    async def scenario() -> None:
        world = World(part)
        await world.say(GET)
        assert world.bodies == [b"4\r\npart\r\n"]
        assert world.transport.ended

    asyncio.run(scenario())


def test_a_message_out_of_its_order_is_an_error_of_the_application() -> None:
    heard = []

    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"all")
        with pytest.raises(RuntimeError) as caught:
            await send({"type": "http.response.body", "body": b"more"})
        heard.append(str(caught.value))

    async def scenario() -> None:
        world = World(twice)
        await world.say(GET)
        assert world.bodies == [b"all"]

    asyncio.run(scenario())
    assert heard == ["unexpected ASGI message http.response.body"]
