"""WebSocket connections of existing front ends, which follow changes on each open page.

A browser cannot set headers on a WebSocket. So the token may be a subprotocol or the first message,
but never part of the URL, which proxies log.

A caller with a token in a header or a subprotocol is authenticated before the handshake. If that
fails, the handshake is accepted and the connection closed at once, because browsers only show the
close code. The number of connections without a token is limited by client address.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from todo.api.rate_limit import CLIENT_KEY, REFUSED_TOKEN_CODE
from todo.app_state import get_state
from todo.auth.dependencies import authenticate
from todo.compat.mapping import show
from todo.core.caller import Caller
from todo.core.errors import (
    ForbiddenError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    UnauthorizedError,
)
from todo.db.database import Database
from todo.journal.feed import ChangeFeed
from todo.journal.repository import Change, View, find_head, find_view
from todo.observability.metrics import Metrics

MAX_CONNECTIONS = 1000
MAX_OF_USER = 20
MAX_WAITING = 200
"""Maximum number of connections that have not sent a token yet."""
MAX_WAITING_OF_ADDRESS = 20
MAX_WAITING_WITHOUT_ADDRESS = 100
"""Maximum number of such connections from local peers, which may be proxies for many clients."""
TOKEN_WAIT_S = 10.0
SUBPROTOCOL = "bearer"
# Timeout for sending to a client that does not read.
_SEND_TIMEOUT_S = 20.0
# Timeout for the client's close frame; waiting for it lets the reason reach the client.
_CLOSING_S = 2.0
# Maximum interval between token checks of an idle connection.
_TIMEOUT_S = 30.0

GOING_AWAY = 1001
POLICY = 1008
TRY_LATER = 1013
NO_TOKEN = REFUSED_TOKEN_CODE
FORBIDDEN = 4403
TOO_MANY = 4429


Headers = list[tuple[bytes, bytes]]


class WebSocketClosedError(Exception):
    """The connection must be closed with a code and a reason for the client."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class ChangesWebSocket:
    """All WebSocket connections of this process."""

    def __init__(self, feed: ChangeFeed, database: Database, metrics: Metrics) -> None:
        self._feed = feed
        self._database = database
        self._metrics = metrics
        self._users: Counter[str] = Counter()
        self._waiting: Counter[str | None] = Counter()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Close all connections because the process stops."""
        self._stopping.set()

    async def serve(self, socket: WebSocket, user_id: str) -> int:
        """Perform the handshake, serve the connection until it ends, and return the close code."""
        try:
            with self._metrics.streaming("websocket"):
                await self._run(socket, user_id)
        except WebSocketClosedError as end:
            await _close(socket, end)
            return end.code
        except WebSocketDisconnect as gone:
            return gone.code
        return GOING_AWAY

    async def _run(self, socket: WebSocket, user_id: str) -> None:
        headers = _find_credentials(socket)
        if headers is None:
            with self._place_waiting(socket.scope.get(CLIENT_KEY)):
                await socket.accept()
                token = await self._until_stop(_receive_token(socket))
            headers = _add_token(socket, token)
        caller = await self._until_stop(_identify(socket, headers, user_id))
        with self._place(caller.user):
            if not _is_accepted(socket):
                await _accept(socket)
            await self._until_stop(self._follow(socket, caller, headers))

    async def _follow(self, socket: WebSocket, caller: Caller, headers: Headers) -> None:
        with _ending():
            view, head = await self._begin(caller)
        await _send(socket, {"type": "connected", "user_id": caller.user, "seq": head})
        reading = asyncio.create_task(_answer_pings(socket))
        writing = asyncio.create_task(self._tell(socket, caller, headers, view, head))
        await _first_of(reading, writing)

    async def _begin(self, caller: Caller) -> tuple[View, int]:
        async with self._database.reading(caller.user) as session:
            view = await find_view(session, caller, None)
            return view, await find_head(session, view.owner)

    async def _tell(
        self,
        socket: WebSocket,
        caller: Caller,
        headers: Headers,
        view: View,
        head: int,
    ) -> None:
        pages = self._feed.follow_pages(view, head, caller.user, timeout_s=_TIMEOUT_S)
        async with contextlib.aclosing(pages):
            async for page in pages:
                # The token may have expired or been revoked, or the list may no longer be shared.
                with _ending():
                    await get_state(socket).authenticator.identify(headers)
                    if caller.list_id is not None:
                        await self._begin(caller)
                while page:
                    # pop() frees each change, because a slow client can delay the loop for long.
                    for message in _translate(page.pop(0)):
                        await _send(socket, message)
        raise WebSocketClosedError(GOING_AWAY, "the service is restarting")

    async def _until_stop(self, work: Any) -> Any:  # noqa: ANN401 - the result of the work
        stop = asyncio.create_task(self._stopping.wait())
        working = asyncio.ensure_future(work)
        await _first_of(working, stop)
        if not working.done() or working.cancelled():
            raise WebSocketClosedError(GOING_AWAY, "the service is restarting")
        return working.result()

    @contextlib.contextmanager
    def _place(self, user: str) -> Iterator[None]:
        if self._users[user] >= MAX_OF_USER:
            raise WebSocketClosedError(TOO_MANY, f"at most {MAX_OF_USER} connections of a user")
        if self._users.total() >= MAX_CONNECTIONS:
            raise WebSocketClosedError(TRY_LATER, "too many connections")
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    @contextlib.contextmanager
    def _place_waiting(self, address: str | None) -> Iterator[None]:
        """Count a connection that has no token yet; the address of a local client is None."""
        most = MAX_WAITING_WITHOUT_ADDRESS if address is None else MAX_WAITING_OF_ADDRESS
        if self._waiting[address] >= most:
            raise WebSocketClosedError(
                TOO_MANY, "too many connections from this address without a token"
            )
        if self._waiting.total() >= MAX_WAITING:
            raise WebSocketClosedError(TRY_LATER, "too many connections without a token")
        self._waiting[address] += 1
        try:
            yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]


async def _first_of(*tasks: "asyncio.Future[Any]") -> None:
    """Wait until one task has ended, cancel the others, and raise its exception if it failed."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """Convert errors to WebSocketClosedError."""
    try:
        yield
    except UnauthorizedError as error:
        raise WebSocketClosedError(NO_TOKEN, error.detail) from None
    except (ForbiddenError, NotFoundError) as error:
        raise WebSocketClosedError(FORBIDDEN, error.detail) from None
    except RateLimitedError as error:
        raise WebSocketClosedError(TOO_MANY, error.detail) from None
    except ProblemError as error:
        # Only temporary errors should make the client reconnect.
        code = TRY_LATER if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else POLICY
        raise WebSocketClosedError(code, error.detail) from None


async def _identify(socket: WebSocket, headers: Headers, user_id: str) -> Caller:
    with _ending():
        caller = await authenticate({**socket.scope, "headers": headers})
        caller.require("read")
    if caller.user != user_id:
        raise WebSocketClosedError(FORBIDDEN, "the user in the URL is not the user of the token")
    return caller


def _find_credentials(socket: WebSocket) -> Headers | None:
    """Return the headers with the token, or None if the first message will contain the token.

    Raises:
        WebSocketClosedError: The request has several tokens; a proxy may have checked another one.
    """
    headers: Headers = list(socket.scope["headers"])
    has_header = any(name == b"authorization" for name, _value in headers)
    offered = _offered(socket)
    if offered[:1] != [SUBPROTOCOL]:
        return headers if has_header else None
    if has_header or len(offered) > 2:  # noqa: PLR2004 - the word and the token
        raise WebSocketClosedError(POLICY, "send one token only: in a header or in a subprotocol")
    return _add_token(socket, "".join(offered[1:]))


def _offered(socket: WebSocket) -> list[str]:
    """Return all offered subprotocols; Hypercorn reads only those of the last header field."""
    fields = [
        value.decode("latin-1")
        for name, value in socket.scope["headers"]
        if name == b"sec-websocket-protocol"
    ]
    return [each.strip() for each in ",".join(fields).split(",")] if fields else []


def _add_token(socket: WebSocket, token: str) -> Headers:
    field = (b"authorization", b"Bearer " + token.encode("utf-8", "replace"))
    return [*socket.scope["headers"], field]


async def _accept(socket: WebSocket) -> None:
    is_offered = SUBPROTOCOL in socket.scope.get("subprotocols", ())[:1]
    await socket.accept(SUBPROTOCOL if is_offered else None)


def _is_accepted(socket: WebSocket) -> bool:
    return socket.application_state is not WebSocketState.CONNECTING


async def _receive_token(socket: WebSocket) -> str:
    try:
        async with asyncio.timeout(TOKEN_WAIT_S):
            message = await _receive(socket)
    except TimeoutError:
        raise WebSocketClosedError(NO_TOKEN, "the token did not arrive in time") from None
    if isinstance(message, dict) and message.get("type") == "auth":
        token = message.get("token")
        if isinstance(token, str):
            return token
    raise WebSocketClosedError(
        NO_TOKEN, 'the first message must be {"type": "auth", "token": "..."}'
    )


async def _answer_pings(socket: WebSocket) -> None:
    while True:
        message = await _receive(socket)
        if message == "ping" or (isinstance(message, dict) and message.get("type") == "ping"):
            await _send(socket, {"type": "pong"})


async def _receive(socket: WebSocket) -> Any:  # noqa: ANN401 - JSON or other text
    received = await socket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received["code"])
    text = received.get("text") or ""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await socket.send_text(orjson.dumps(message).decode())
    except TimeoutError:
        raise WebSocketClosedError(TRY_LATER, "the client reads too slowly") from None


async def _close(socket: WebSocket, end: WebSocketClosedError) -> None:
    with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
        async with asyncio.timeout(_CLOSING_S):
            if not _is_accepted(socket):
                await _accept(socket)
            # At most 123 bytes fit into a close frame.
            await socket.close(end.code, end.reason[:120])
            while socket.client_state is not WebSocketState.DISCONNECTED:
                await socket.receive()


def _translate(change: Change) -> Iterator[dict[str, Any]]:
    """Yield the messages about a change of a task in the format of existing front ends."""
    said = orjson.loads(change.data)
    if said["kind"] != "task":
        return
    common = {"task_id": said["id"], "timestamp": said["at"], "seq": change.seq}
    if said["after"] is None:
        yield {"type": "task_deleted", **common}
        return
    if change.operation == "restore":
        # A client that already has the task must not add it a second time.
        yield {"type": "task_deleted", **common}
    kind = "task_updated"
    if change.operation in {"create", "restore"}:
        kind = "task_created"
    elif change.operation == "remind":
        kind = "task_reminder"
    yield {"type": kind, **common, "task": show(said["after"])}
