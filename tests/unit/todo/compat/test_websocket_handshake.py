"""Authentication of WebSockets."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from tests.unit.todo.journal.test_feed import Journal, NoMetrics
from todo.api.rate_limit import CLIENT_KEY
from todo.compat import websocket
from todo.compat.websocket import ChangesWebSocket
from todo.core.caller import Caller
from todo.core.errors import MalformedRequestError, UnauthorizedError, UnavailableError
from todo.journal.feed import ChangeFeed

Headers = Sequence[tuple[bytes, bytes]]
BEARER = (b"authorization", b"Bearer good")


def protocols(*names: str) -> tuple[bytes, bytes]:
    return b"sec-websocket-protocol", ", ".join(names).encode()


class Peer:
    """A client of a Live, and the authenticator behind it.

    Attributes:
        log: What happened, in order.
    """

    def __init__(self, *, refusal: Exception | None = None) -> None:
        self.log: list[str] = []
        self._refusal = refusal
        self.token_limit = None
        self.authenticator = self
        self.app = SimpleNamespace(state=self)
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def identify(self, headers: Headers) -> Caller:
        (token,) = [value for name, value in headers if name == b"authorization"]
        self.log.append(f"identify {token.decode()}")
        if self._refusal is not None:
            raise self._refusal
        return Caller("alice")

    async def send(self, message: Any) -> None:  # noqa: ANN401 - a message of ASGI
        self.log.append(str(message["type"]).removeprefix("websocket."))

    def open(self, headers: Headers = (), address: str | None = None) -> WebSocket:
        """Return a connection whose client sends what is in `messages`, and leaves at its close."""
        received = [{"type": "websocket.connect"}]

        async def receive() -> Any:  # noqa: ANN401
            if received:
                return received.pop()
            if self.log[-1] == "close":
                return {"type": "websocket.disconnect", "code": 1000}
            return await self.messages.get()

        first = dict(headers).get(b"sec-websocket-protocol", b"").decode()
        scope = {
            "type": "websocket",
            "headers": list(headers),
            "subprotocols": first.split(", ") if first else [],
            "app": self.app,
            CLIENT_KEY: address,
        }
        return WebSocket(scope, receive, self.send)


def make_live() -> ChangesWebSocket:
    return ChangesWebSocket(ChangeFeed(Journal()), cast("Any", Journal()), cast("Any", NoMetrics()))


def serve(peer: Peer, headers: Headers) -> int:
    return asyncio.run(make_live().serve(peer.open(headers), "alice"))


@pytest.mark.parametrize("headers", [[BEARER], [protocols("bearer", "good")]])
def test_a_caller_with_a_token_is_identified_before_the_handshake_is_accepted(
    headers: Headers,
) -> None:
    peer = Peer(refusal=UnauthorizedError())

    assert serve(peer, headers) == 4401
    assert peer.log == ["identify Bearer good", "accept", "close"]


@pytest.mark.parametrize(
    "headers",
    [
        [BEARER, protocols("bearer", "good")],
        [protocols("bearer", "good", "other")],
        [protocols("bearer", "good"), protocols("bearer", "other")],
    ],
)
def test_two_tokens_are_against_the_policy(headers: Headers) -> None:
    peer = Peer()

    assert serve(peer, headers) == 1008
    assert peer.log == ["accept", "close"]


@pytest.mark.parametrize(
    ("refusal", "code"), [(MalformedRequestError(), 1008), (UnavailableError(), 1013)]
)
def test_what_would_fail_again_is_no_reason_to_come_again(refusal: Exception, code: int) -> None:
    assert serve(Peer(refusal=refusal), [BEARER]) == code


def test_those_who_owe_a_token_are_few_for_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_WAITING_OF_ADDRESS", 2)
    monkeypatch.setattr(websocket, "MAX_WAITING_WITHOUT_ADDRESS", 1)
    monkeypatch.setattr(websocket, "MAX_WAITING", 4)

    async def run() -> None:
        service = make_live()
        waiting = []
        for address in ("a", "a", "b", None):
            peer = Peer()
            task = asyncio.create_task(service.serve(peer.open(address=address), "alice"))
            waiting.append((peer, task))
        await asyncio.sleep(0)
        assert await service.serve(Peer().open(address="a"), "alice") == 4429
        assert await service.serve(Peer().open(), "alice") == 4429
        assert await service.serve(Peer().open(address="c"), "alice") == 1013
        # One that shows its token is known; so is one that never owed it.
        refused = Peer(refusal=UnauthorizedError())
        assert await service.serve(refused.open([BEARER], "a"), "alice") == 4401
        for peer, task in waiting:
            await peer.messages.put({"type": "websocket.disconnect", "code": 1001})
            assert await task == 1001
        again = asyncio.create_task(service.serve(Peer().open(address="a"), "alice"))
        await asyncio.sleep(0)
        assert not again.done()
        service.stop()
        assert await again == 1001

    asyncio.run(run())


def test_reads_for_a_page_count_for_the_user_of_its_token() -> None:
    async def run() -> None:
        journal, peer = Journal(), Peer()
        service = ChangesWebSocket(
            ChangeFeed(journal), cast("Any", journal), cast("Any", NoMetrics())
        )
        serving = asyncio.create_task(service.serve(peer.open([BEARER]), "alice"))
        while len(journal.accounts) < 2:
            assert not serving.done()
            await asyncio.sleep(0)
        service.stop()
        await serving
        assert journal.accounts == [("alice",), ("alice",)]

    asyncio.run(run())
