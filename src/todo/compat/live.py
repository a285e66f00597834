"""Changes as existing front ends follow them: one WebSocket for each open page.

A browser cannot send headers with a WebSocket. So the token may come as a subprotocol or as the
first message; never in the address, which proxies write into their logs.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from todo.auth.bearer import authenticate
from todo.auth.caller import Caller
from todo.compat.form import show
from todo.db import Database
from todo.errors import (
    ForbiddenError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    UnauthorizedError,
)
from todo.journal.feed import Feed
from todo.journal.repository import Change, View, find_head, find_view
from todo.metrics import Metrics

MAX_CONNECTIONS = 1000
MAX_OF_USER = 20
TOKEN_WAIT_S = 10.0
SUBPROTOCOL = "bearer"
# A client that reads nothing for so long is given up.
_SEND_TIMEOUT_S = 20.0
# For the client's answer to a close, so that the reason reaches it.
_CLOSING_S = 2.0
# How long a token that ended meanwhile keeps a quiet connection open.
_PATIENCE_S = 30.0

GOING_AWAY = 1001
TRY_LATER = 1013
NO_TOKEN = 4401
FORBIDDEN = 4403
TOO_MANY = 4429


class EndError(Exception):
    """The connection ends, and the client is told why."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class Live:
    """The WebSockets of this process."""

    def __init__(self, feed: Feed, database: Database, metrics: Metrics) -> None:
        self._feed = feed
        self._database = database
        self._metrics = metrics
        self._users: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self.count = 0

    def stop(self) -> None:
        """End every connection: the process stops."""
        self._stopping.set()

    async def serve(self, socket: WebSocket, user_id: str) -> int:
        """Serve one connection to its end; return the code that it was closed with.

        Args:
            socket: The connection, not yet accepted.
            user_id: The user in the address.
        """
        offered = list(socket.scope.get("subprotocols", ()))
        await socket.accept(SUBPROTOCOL if offered[:1] == [SUBPROTOCOL] else None)
        self.count += 1
        try:
            with self._metrics.streaming("websocket"):
                await self._run(socket, user_id, offered)
        except EndError as end:
            await _close(socket, end)
            return end.code
        except WebSocketDisconnect as gone:
            return gone.code
        finally:
            self.count -= 1
        return GOING_AWAY

    async def _run(self, socket: WebSocket, user_id: str, offered: list[str]) -> None:
        if self.count > MAX_CONNECTIONS:
            raise EndError(TRY_LATER, "too many connections")
        headers = await self._until_stop(_find_credentials(socket, offered))
        with _ending():
            caller = await authenticate({**socket.scope, "headers": headers})
            caller.require("read")
        if caller.user != user_id:
            raise EndError(FORBIDDEN, "the user in the address is not the user of the token")
        with self._place(caller.user):
            await self._until_stop(self._follow(socket, caller, headers))

    async def _follow(
        self, socket: WebSocket, caller: Caller, headers: list[tuple[bytes, bytes]]
    ) -> None:
        with _ending():
            view, head = await self._begin(caller)
        await _send(socket, {"type": "connected", "user_id": caller.user, "seq": head})
        reading = asyncio.create_task(_answer_pings(socket))
        writing = asyncio.create_task(self._tell(socket, caller, headers, view, head))
        await _first_of(reading, writing)

    async def _begin(self, caller: Caller) -> tuple[View, int]:
        async with self._database.reading() as session:
            view = await find_view(session, caller, None)
            return view, await find_head(session, view.owner)

    async def _tell(
        self,
        socket: WebSocket,
        caller: Caller,
        headers: list[tuple[bytes, bytes]],
        view: View,
        head: int,
    ) -> None:
        pages = self._feed.follow_pages(view, head, patience_s=_PATIENCE_S)
        async with contextlib.aclosing(pages):
            async for page in pages:
                # The token may have ended or been revoked since, the list be shared no more.
                with _ending():
                    await socket.app.state.authenticator.identify(headers)
                    if caller.list_id is not None:
                        await self._begin(caller)
                for change in page:
                    for message in _translate(change):
                        await _send(socket, message)
        raise EndError(GOING_AWAY, "the service restarts")

    async def _until_stop(self, work: Any) -> Any:  # noqa: ANN401 - what the work returns
        stop = asyncio.create_task(self._stopping.wait())
        working = asyncio.ensure_future(work)
        await _first_of(working, stop)
        if not working.done() or working.cancelled():
            raise EndError(GOING_AWAY, "the service restarts")
        return working.result()

    @contextlib.contextmanager
    def _place(self, user: str) -> Iterator[None]:
        if self._users[user] >= MAX_OF_USER:
            raise EndError(TOO_MANY, f"at most {MAX_OF_USER} connections of a user")
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]


async def _first_of(*tasks: "asyncio.Future[Any]") -> None:
    """Wait for the first of some tasks, end the others, and raise what it raised."""
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
    """Turn errors into the end of the connection."""
    try:
        yield
    except UnauthorizedError as error:
        raise EndError(NO_TOKEN, error.detail) from None
    except (ForbiddenError, NotFoundError) as error:
        raise EndError(FORBIDDEN, error.detail) from None
    except RateLimitedError as error:
        raise EndError(TOO_MANY, error.detail) from None
    except ProblemError as error:
        raise EndError(TRY_LATER, error.detail) from None


async def _find_credentials(socket: WebSocket, offered: list[str]) -> list[tuple[bytes, bytes]]:
    """Return the headers with the token, wherever it came."""
    headers: list[tuple[bytes, bytes]] = list(socket.scope["headers"])
    if any(name == b"authorization" for name, _value in headers):
        return headers
    if offered[:1] == [SUBPROTOCOL]:
        token = "".join(offered[1:2])
    else:
        token = await _receive_token(socket)
    return [*headers, (b"authorization", b"Bearer " + token.encode("utf-8", "replace"))]


async def _receive_token(socket: WebSocket) -> str:
    try:
        async with asyncio.timeout(TOKEN_WAIT_S):
            message = await _receive(socket)
    except TimeoutError:
        raise EndError(NO_TOKEN, "no token came in time") from None
    if isinstance(message, dict) and message.get("type") == "auth":
        token = message.get("token")
        if isinstance(token, str):
            return token
    raise EndError(NO_TOKEN, 'the first message must be {"type": "auth", "token": "..."}')


async def _answer_pings(socket: WebSocket) -> None:
    while True:
        message = await _receive(socket)
        if message == "ping" or (isinstance(message, dict) and message.get("type") == "ping"):
            await _send(socket, {"type": "pong"})


async def _receive(socket: WebSocket) -> Any:  # noqa: ANN401 - JSON, or text that is none
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
        raise EndError(TRY_LATER, "the client reads too slowly") from None


async def _close(socket: WebSocket, end: EndError) -> None:
    with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
        async with asyncio.timeout(_CLOSING_S):
            # At most 123 bytes fit into a close frame.
            await socket.close(end.code, end.reason[:120])
            while socket.client_state is not WebSocketState.DISCONNECTED:
                await socket.receive()


def _translate(change: Change) -> Iterator[dict[str, Any]]:
    """Tell a change of a task as these front ends understand it."""
    said = orjson.loads(change.data)
    if said["kind"] != "task":
        return
    common = {"task_id": said["id"], "timestamp": said["at"], "seq": change.seq}
    if said["after"] is None:
        yield {"type": "task_deleted", **common}
        return
    if change.operation == "restore":
        # Whether it was there is not known: they add what is created, and change what they have.
        yield {"type": "task_deleted", **common}
    kind = "task_updated"
    if change.operation in {"create", "restore"}:
        kind = "task_created"
    elif change.operation == "remind":
        kind = "task_reminder"
    yield {"type": kind, **common, "task": show(said["after"])}
