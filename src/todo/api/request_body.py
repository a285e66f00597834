"""Request bodies: read completely, within limits of size, time and memory."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from starlette.types import Message, Receive, Scope

from todo.core.errors import (
    BodyMemoryError,
    MalformedRequestError,
    RequestTimeoutError,
    TooLargeError,
    TooManyBodiesError,
    UnauthorizedError,
)

if TYPE_CHECKING:
    from todo.core.caller import Caller

MAX_TOTAL_BYTES = 32 * 1024 * 1024
"""Maximum size in bytes of all bodies in memory; the container has 256 MiB."""
MAX_CALLER_BYTES = MAX_TOTAL_BYTES // 4
"""Maximum size in bytes of one user's bodies; enough for eight of the largest."""
ENDS_WITH_CLIENT = "todo.ends_with_client"
"""Extension of the ASGI scope, set by an application whose response ends when the client has
finished sending. Otherwise the response ends only when the client has disconnected."""
BODY_ARRIVED = "todo.body_arrived"
"""Key of the ASGI scope: whether the whole body arrived with the head of the request."""
CALLER = "todo.caller"
"""Key of the ASGI scope: the caller, if identified before the body was read."""

# Bytes read before a 413, so that the connection does not close, and lose it, during the upload.
_DISCARD_BYTES = 16 * 1024 * 1024
_BODY_TIMEOUT_S = 30
_FRAMING = {b"content-length", b"transfer-encoding"}

Identify = Callable[[list[tuple[bytes, bytes]]], Awaitable["Caller"]]
FindLimit = Callable[[str], int]


class BodyBudget:
    """Limit on the memory that request bodies use, in total and per user.

    When it is exhausted, incomplete bodies are evicted: first those of the user with the largest
    bodies, starting with the one that has made no progress for the longest time.
    """

    def __init__(
        self, total_bytes: int = MAX_TOTAL_BYTES, caller_bytes: int = MAX_CALLER_BYTES
    ) -> None:
        self._total_bytes = total_bytes
        self._caller_bytes = caller_bytes
        self._by_caller: Counter[str] = Counter()
        # Incomplete bodies by caller, ordered by the time of their last progress.
        self._incomplete: defaultdict[str, dict[RequestBody, None]] = defaultdict(dict)
        self.used_bytes = 0

    def reserve(self, caller: str, size: int) -> None:
        """Count received bytes; `caller` is empty for all callers not identified yet.

        Raises:
            TooManyBodiesError: The bodies of this user exceed their limit.
            BodyMemoryError: All bodies together exceed their limit.
        """
        if caller and self._by_caller[caller] + size > self._caller_bytes:
            raise TooManyBodiesError
        while self.used_bytes + size > self._total_bytes:
            victim = self._find_victim(self._by_caller[caller] + size)
            if victim is None:
                raise BodyMemoryError
            victim.evict()
        self.used_bytes += size
        self._by_caller[caller] += size

    def release(self, caller: str, size: int) -> None:
        """Return bytes to the budget."""
        self.used_bytes -= size
        self._by_caller[caller] -= size
        if not self._by_caller[caller]:
            del self._by_caller[caller]

    def note_progress(self, caller: str, body: "RequestBody") -> None:
        """Move a body that has received bytes to the end of its user's eviction order."""
        bodies = self._incomplete[caller]
        bodies.pop(body, None)
        bodies[body] = None

    def forget(self, caller: str, body: "RequestBody") -> None:
        """Protect a body from eviction: it is complete, or its request has ended."""
        bodies = self._incomplete.get(caller, {})
        bodies.pop(body, None)
        if not bodies:
            self._incomplete.pop(caller, None)

    def _find_victim(self, needed_bytes: int) -> "RequestBody | None":
        """Return the body to evict for a user whose bodies need `needed_bytes`, or None."""
        caller = max(self._incomplete, key=self._by_caller.__getitem__, default=None)
        if caller is None or self._by_caller[caller] <= needed_bytes:
            return None
        return next(iter(self._incomplete[caller]))


class RequestBody:
    """Body of one request, counted in a budget until it is closed."""

    def __init__(
        self, scope: Scope, receive: Receive, budget: BodyBudget, find_limit: FindLimit
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._budget = budget
        self._find_limit = find_limit
        self._caller = ""
        self._size = 0
        self._content = bytearray()
        self._deadline: asyncio.Timeout | None = None
        self._is_evicted = False

    async def read(self, identify: Identify | None) -> Receive:
        """Read the whole body; return a `receive` that replays it.

        A body that is still arriving is read only after `identify` has accepted the caller, so that
        unknown clients use no memory. Without a valid token the application receives an empty body
        and responds with 401, 404 or 405.

        Raises:
            TooLargeError: The body exceeds the limit of its path.
            TooManyBodiesError: The bodies of this user exceed their limit.
            BodyMemoryError: All bodies together exceed their limit.
            RequestTimeoutError: The body did not arrive within `_BODY_TIMEOUT_S`.
            MalformedRequestError: The client disconnected before the end of the body.
        """
        scope = self._scope
        if not any(name in _FRAMING for name, _value in scope["headers"]):
            return self._receive
        if identify is not None and not scope.get(BODY_ARRIVED, False):
            try:
                caller = await identify(scope["headers"])
            except UnauthorizedError:
                return self._replay(b"")
            scope[CALLER] = caller
            self._caller = caller.user
        self._check_announced()
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S) as self._deadline:
                body = await self._collect()
        except TimeoutError:
            if self._is_evicted:
                raise BodyMemoryError from None
            raise RequestTimeoutError from None
        finally:
            self._deadline = None
            self._budget.forget(self._caller, self)
        return self._replay(body)

    def evict(self) -> None:
        """Release the budget immediately; the request gets 503."""
        self._is_evicted = True
        self.close()
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _check_announced(self) -> None:
        """Reject a body that is too large before sending 100 (Continue)."""
        headers = dict(self._scope["headers"])
        if b"expect" in headers:
            limit = self._find_limit(self._scope["path"])
            if int(headers.get(b"content-length", 0)) > limit:
                raise TooLargeError(limit)

    def close(self) -> None:
        """Release the budget."""
        self._content.clear()
        self._budget.forget(self._caller, self)
        if self._size:
            self._budget.release(self._caller, self._size)
            self._size = 0

    def _replay(self, body: bytes) -> Receive:
        pending: list[MutableMapping[str, Any]] = [
            {"type": "http.request", "body": body, "more_body": False}
        ]

        async def replay() -> Message:
            return pending.pop() if pending else await self._receive()

        return replay

    async def _collect(self) -> bytes:
        limit = self._find_limit(self._scope["path"])
        received = 0
        more = True
        while more and received <= _DISCARD_BYTES:
            message = await self._receive()
            if self._is_evicted:
                raise BodyMemoryError
            if message["type"] == "http.disconnect":
                raise MalformedRequestError
            chunk = message.get("body", b"")
            received += len(chunk)
            if received > limit:
                self.close()
            elif chunk:
                self._budget.reserve(self._caller, len(chunk))
                self._size += len(chunk)
                self._content += chunk
                self._budget.note_progress(self._caller, self)
            more = message.get("more_body", False)
        if received > limit:
            raise TooLargeError(limit)
        body = bytes(self._content)
        self._content.clear()
        return body
