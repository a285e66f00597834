import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from todo import ordinary
from todo.exchange import Exchange
from todo.head import Request
from todo.ordinary import Connection
from todo.send_budget import SendBudget

GET = b"GET / HTTP/1.1\r\nHost: todo\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: todo\r\nContent-Length: 6\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """Keeps what is written, and whether the connection is read and open."""

    def __init__(self, family: int = socket.AF_UNIX, peername: str | None = "") -> None:
        super().__init__()
        self._family = family
        self._peername = peername
        self.writes: list[bytes] = []
        self.reading = True
        self.closed = False
        self.ended = False
        self.gone = asyncio.Event()
        self.unsent = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        class Peer:
            family = self._family

        known = {"socket": Peer(), "peername": self._peername, "sockname": ""}
        return known.get(name, default)

    def write(self, data: Any) -> None:  # noqa: ANN401 - asyncio's own
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.closed = True
        self.ended = True

    def abort(self) -> None:
        self.gone.set()
        self.unsent = 0
        self.close()

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class HandedOver(Exchange):
    """An exchange that was given everything behind the head."""

    def __init__(self, connection: Connection, app: ASGIApp, request: Request, body: bytes) -> None:
        super().__init__(connection, app, request, body[: request.length])
        self.surplus = body[request.length :]


class FakeOwner:
    """Serves what is handed over as if it were ordinary, and remembers it."""

    def __init__(self, app: ASGIApp, keep_alive_s: float) -> None:
        self.keep_alive_s = keep_alive_s
        self.send_budget = SendBudget()
        self.open: set[Connection] = set()
        self.handed_over: list[str] = []
        self._app = app

    def opened(self, connection: Connection) -> None:
        self.open.add(connection)

    def closed(self, connection: Connection) -> None:
        self.open.discard(connection)

    def open_exchange(self, connection: Connection, request: Request, body: bytes) -> Exchange:
        self.handed_over.append(request.service.name)
        return HandedOver(connection, self._app, request, body)


class World:
    """One connection to an application."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], keep_alive_s: float = 75.0
    ) -> None:
        self.owner = FakeOwner(app, keep_alive_s)
        self.transport = FakeTransport()
        self.connection = Connection(app, self.owner)
        self.connection.connection_made(self.transport)

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.connection.data_received(part)
            await self.rest()

    async def rest(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def bodies(self) -> list[bytes]:
        return [write.partition(b"\r\n\r\n")[2] for write in self.transport.writes]


async def answer(send: Send, *parts: bytes, headers: Any = (), status: int = 200) -> None:  # noqa: ANN401
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    for number, part in enumerate(parts, 1):
        more = number < len(parts)
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    del scope
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        if not message["more_body"]:
            break
    await answer(send, body or b"nothing")


def test_head_and_body_are_one_write() -> None:
    async def scenario() -> None:
        world = World(echo)
        await world.say(GET, GET)
        assert world.bodies == [b"nothing", b"nothing"]
        assert world.connection.answered
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


def test_a_client_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordinary, "_LINGER_S", 0.01)
    monkeypatch.setattr(ordinary, "_LINGER_BYTES", 100)

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
    monkeypatch.setattr(ordinary, "_LINGER_S", 0.05)
    monkeypatch.setattr(ordinary, "_MAX_LINGER_S", lasts_s)

    async def scenario() -> None:
        world = World(echo)
        await world.say(b"nonsense\r\n\r\n")
        looks = 0
        while not world.transport.closed and looks < 20:
            await world.say(b"x")
            await asyncio.sleep(0.01)
            looks += 1
        assert world.transport.closed == (lasts_s == 0.0)

    asyncio.run(scenario())


def test_a_connection_owes_an_answer_once_its_request_has_arrived() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await echo(scope, receive, send)

        world = World(late)
        owes = [world.connection.owes_answer]
        for part in (POST[:10], POST[10:], b"abc", b"def"):
            await world.say(part)
            owes.append(world.connection.owes_answer)
        go.set()
        await world.rest()
        owes.append(world.connection.owes_answer)
        assert owes == [False, False, False, False, True, False]

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
    assert heard == ["http.response.body has no place here"]


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
        finished.connection.finish()
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
        world.connection.finish()
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
        world.connection.finish()
        assert not world.transport.closed
        go.set()
        await world.rest()
        assert world.bodies == [b"nothing"]
        assert world.transport.ended

    asyncio.run(scenario())
