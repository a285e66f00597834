"""Request bodies: read whole, within limits of size, time and memory."""

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
"""Maximum size of all bodies in memory; the container has 256 MiB."""
MAX_CALLER_BYTES = MAX_TOTAL_BYTES // 4
"""Maximum size of the bodies of one user, enough for eight of the largest."""
ENDS_WITH_CLIENT = "todo.ends_with_client"
"""Key among the extensions of an ASGI scope, which an application sets: a client that sends no more
has left. Otherwise only a client that is gone for certain has."""
BODY_ARRIVED = "todo.body_arrived"
"""Key of the ASGI scope: whether the whole body came with the head of the request."""
CALLER = "todo.caller"
"""Key of the ASGI scope: the caller, where it was identified before the body was read."""

# Read and thrown away before the answer 413: a client that still sends when the connection
# closes gets a reset instead of the answer.
_DISCARD_BYTES = 16 * 1024 * 1024
_BODY_TIMEOUT_S = 30
_FRAMING = {b"content-length", b"transfer-encoding"}

Identify = Callable[[list[tuple[bytes, bytes]]], Awaitable["Caller"]]
FindLimit = Callable[[str], int]


class BodyBudget:
    """Limit of the memory that request bodies use: in total and by user.

    When it is used up, bodies that have not arrived give way, first those of the user whose bodies
    use most, and of these the one that has had no new bytes for the longest time.
    """

    def __init__(
        self, total_bytes: int = MAX_TOTAL_BYTES, caller_bytes: int = MAX_CALLER_BYTES
    ) -> None:
        self._total_bytes = total_bytes
        self._caller_bytes = caller_bytes
        self._by_caller: Counter[str] = Counter()
        # Bodies that have not arrived as a whole, by caller; the last one got bytes most recently.
        self._incomplete: defaultdict[str, dict[RequestBody, None]] = defaultdict(dict)
        self.used_bytes = 0

    def reserve(self, caller: str, size: int) -> None:
        """Count bytes that arrived.

        Args:
            caller: The user, or empty for all who are not identified yet.
            size: Number of bytes.

        Raises:
            TooManyBodiesError: The bodies of this user exceed their limit.
            BodyMemoryError: All bodies together exceed theirs.
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
        """Make a body that waits for more bytes the last one of its user to give way."""
        bodies = self._incomplete[caller]
        bodies.pop(body, None)
        bodies[body] = None

    def forget(self, caller: str, body: "RequestBody") -> None:
        """Keep the place of a body: it has arrived, or its request is over."""
        bodies = self._incomplete.get(caller, {})
        bodies.pop(body, None)
        if not bodies:
            self._incomplete.pop(caller, None)

    def _find_victim(self, needed_bytes: int) -> "RequestBody | None":
        """Return the body that gives way to a user who would use so many bytes in all."""
        caller = max(self._incomplete, key=self._by_caller.__getitem__, default=None)
        if caller is None or self._by_caller[caller] <= needed_bytes:
            return None
        return next(iter(self._incomplete[caller]))


class RequestBody:
    """The body of one request, in a budget until it is closed."""

    def __init__(
        self, scope: Scope, receive: Receive, budget: BodyBudget, find_limit: FindLimit
    ) -> None:
        """Prepare.

        Args:
            scope: Scope of the request.
            receive: The server's `receive` callable.
            budget: Budget of all bodies.
            find_limit: Returns the maximum size of a body by the path of the request.
        """
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
        """Read the whole body and return a `receive` that returns it.

        Args:
            identify: Finds the caller. A body that has not come yet is only waited for when the
                caller is known, so that no memory is used for unknown clients. Without a valid
                token the application gets an empty body, and answers 401, 404 or 405.

        Raises:
            TooLargeError: It exceeds the limit of its path.
            TooManyBodiesError: The bodies of this user exceed their limit.
            BodyMemoryError: All bodies together exceed theirs.
            RequestTimeoutError: It did not arrive within `_BODY_TIMEOUT_S`.
            MalformedRequestError: The caller left before its end.
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
        """Release its budget at once, and answer with 503."""
        self._is_evicted = True
        self.close()
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _check_announced(self) -> None:
        """Refuse a body that is too large before the client is asked for it.

        Raises:
            TooLargeError: The client waits for 100, and its body exceeds the limit.
        """
        headers = dict(self._scope["headers"])
        if b"expect" in headers:
            limit = self._find_limit(self._scope["path"])
            if int(headers.get(b"content-length", 0)) > limit:
                raise TooLargeError(limit)

    def close(self) -> None:
        """Release its budget."""
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
