"""Middleware of the public application, which processes every request of every route.

It is pure ASGI: request ID, client address, rate limits, deadline, headers, access log, metrics,
and the response to an unexpected exception.
"""

import asyncio
import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo.api.body_limits import find_body_limit
from todo.api.cors import Cors
from todo.api.proxy_headers import UNIX, Client, TrustedProxies
from todo.api.rate_limit import (
    CALLER_FIELDS,
    CLIENT_KEY,
    REFUSED_TOKEN_CODE,
    Field,
    RateLimit,
    find_address_key,
)
from todo.api.request_body import BodyBudget, Identify, RequestBody
from todo.api.security_headers import add_security
from todo.core.caller import Caller
from todo.core.errors import (
    DeadlineExceededError,
    InternalError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
)
from todo.core.ids import new_uuid7
from todo.core.problem_document import render_problem
from todo.observability.health import Health
from todo.observability.logs import ACCESS_LOGGER, redact, request_id_var
from todo.observability.metrics import Metrics
from todo.observability.trace_context import begin_trace

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNMATCHED = "unmatched"
_REQUEST_ID = "todo.request_id"
# A rejected token costs ten permits of the address's limit, which slows down guessing.
_REFUSAL_PERMITS = 10
_WITHOUT_CONTENT = {204, 304}
_SECURE_SCHEMES = {"https", "wss"}
# Polled every few seconds by probes and front ends, so only failures are logged.
_QUIET_ROUTES = {"/livez", "/readyz", "/startupz", "/health"}

_access = logging.getLogger(ACCESS_LOGGER)
_log = logging.getLogger("todo.edge")


class RequestMiddleware:
    """Middleware around the whole public application.

    Args:
        deadline_s: Seconds until the response must have started.
        address_limit: Rate limit by address; health checks are exempt.
        identify: Authenticates the caller before the rest of a body is read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        proxies: TrustedProxies,
        health: Health,
        deadline_s: float,
        address_limit: RateLimit | None = None,
        cors: Cors | None = None,
        identify: Identify | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._proxies = proxies
        self._health = health
        self._deadline_s = deadline_s
        self._address_limit = address_limit
        self._cors = cors
        self._identify_caller = identify
        self._bodies = BodyBudget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        caller = self._identify(scope)
        scope["scheme"] = caller.scheme
        response = _Response(send, scope, self._health)
        body = RequestBody(scope, receive, self._bodies, find_body_limit)
        address = None
        try:
            preflight = False
            if self._cors is not None:
                response.fields, preflight = self._cors.answer(scope)
            if preflight:
                await response.send_empty()
            else:
                address = self._find_address(scope, caller)
                if address is not None and self._address_limit is not None:
                    response.address_fields = self._address_limit.take(address)
                reader = await body.read(self._identify_in_time if self._identify_caller else None)
                await self._answer(scope, reader, response)
        except ProblemError as error:
            await response.send_problem(error)
        except Exception:  # noqa: BLE001 - the boundary: the caller gets 500, the log the rest
            _log.exception("unexpected error")
            await response.send_problem(InternalError())
        finally:
            body.close()
            route = getattr(scope.get("route"), "path", _UNMATCHED)
            status = response.status or 500
            if status == 401 and address is not None and self._address_limit is not None:  # noqa: PLR2004
                self._address_limit.charge(address, _REFUSAL_PERMITS - 1)
            self._record(scope["method"], route, status, started, caller)

    def _record(self, method: str, route: str, status: int, started: float, caller: Client) -> None:
        """Count a response, and log it unless it succeeded on a quiet route."""
        duration_s = time.perf_counter() - started
        self._metrics.observe(method, route, status, duration_s)
        if route in _QUIET_ROUTES and status < 500:  # noqa: PLR2004
            return
        _access.info(
            "request",
            extra={
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round(duration_s * 1000, 2),
                **_describe_client(caller),
            },
        )

    async def _identify_in_time(self, headers: list[tuple[bytes, bytes]]) -> Caller:
        assert self._identify_caller is not None  # noqa: S101 - narrows the type
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._identify_caller(headers)
        except TimeoutError:
            raise DeadlineExceededError from None

    async def _answer(self, scope: Scope, receive: Receive, response: "_Response") -> None:
        deadline = asyncio.timeout(self._deadline_s)
        method = scope["method"]
        if method == "HEAD":
            # RFC 9110, 9.3.2: HEAD is GET without the content.
            scope["method"] = "GET"
        try:
            async with deadline:
                response.deadline = deadline
                await self._app(scope, receive, response.send)
        except TimeoutError:
            if deadline.expired():
                raise DeadlineExceededError from None
            raise
        finally:
            scope["method"] = method
            response.deadline = None

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        caller = self._identify(scope)
        address = scope[CLIENT_KEY] = self._find_address(scope, caller)
        limit = self._address_limit
        is_accepted = False

        async def refuse(error: ProblemError) -> None:
            status, headers, body = render_problem(
                error, instance=scope["path"], request_id=scope[_REQUEST_ID]
            )
            headers = add_security(headers, secure=caller.scheme in _SECURE_SCHEMES)
            headers.append((b"x-request-id", scope[_REQUEST_ID].encode()))
            start = {"type": "websocket.http.response.start", "status": status}
            await send({**start, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": body})
            self._record("GET", _UNMATCHED, status, started, caller)

        async def send_and_charge(message: Message) -> None:
            nonlocal is_accepted
            is_accepted = is_accepted or message["type"] == "websocket.accept"
            if message["type"] == "websocket.close":
                if not is_accepted:
                    # No route matches. The server would respond with a bare 403.
                    await refuse(NotFoundError())
                    return
                is_refused = message["code"] == REFUSED_TOKEN_CODE
                if is_refused and limit is not None and address is not None:
                    limit.charge(address, _REFUSAL_PERMITS - 1)
            await send(message)

        try:
            if limit is not None and address is not None:
                limit.take(address)
        except RateLimitedError as error:
            await refuse(error)
            return
        await self._app(scope, receive, send_and_charge)

    def _identify(self, scope: Scope) -> Client:
        request_id = _find_request_id(scope["headers"]) or new_uuid7().hex
        request_id_var.set(request_id)
        scope[_REQUEST_ID] = request_id
        begin_trace(scope)
        peer = scope["client"]
        return self._proxies.resolve(peer[0] if peer else UNIX, scope["scheme"], scope["headers"])

    def _find_address(self, scope: Scope, caller: Client) -> str | None:
        if self._address_limit is None or scope["path"] in _QUIET_ROUTES:
            return None
        prefix = self._address_limit.ipv6_prefix
        return find_address_key(caller.address, is_proxied=caller.is_proxied, ipv6_prefix=prefix)


class _Response:
    """Response that gets the common headers, and whose start ends the deadline."""

    def __init__(self, send: Send, scope: Scope, health: Health) -> None:
        self._send = send
        self._scope = scope
        self._health = health
        self._has_content = scope["method"] != "HEAD"
        self._start: Message | None = None
        self.status = 0
        self.fields: list[Field] = []
        self.address_fields: tuple[Field, ...] = ()
        self.deadline: asyncio.Timeout | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.deadline is not None and not self.deadline.expired():
                # The body may be a stream, which has no time limit.
                self.deadline.reschedule(None)
            secure = self._scope["scheme"] == "https"
            headers = add_security(message.get("headers", ()), secure=secure)
            headers += self.fields
            headers += self._scope.get(CALLER_FIELDS) or self.address_fields
            headers.append((b"x-request-id", self._scope[_REQUEST_ID].encode()))
            if self._health.is_leaving:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
            if not self._has_content:
                self._start = message
                return
        elif not self._has_content:
            await self._send_start(message)
            return
        await self._send(message)

    async def _send_start(self, first: Message) -> None:
        """Respond to HEAD with the length that the content would have."""
        start, self._start = self._start, None
        if start is None:
            return
        headers = start["headers"]
        is_whole = not first.get("more_body", False) and self.status not in _WITHOUT_CONTENT
        if is_whole and not any(name == b"content-length" for name, _value in headers):
            headers.append((b"content-length", b"%d" % len(first.get("body", b""))))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b""})

    async def send_empty(self) -> None:
        await self.send({"type": "http.response.start", "status": 204, "headers": []})
        await self.send({"type": "http.response.body", "body": b""})

    async def send_problem(self, error: ProblemError) -> None:
        if self.status:
            # Too late for another status code: the connection ends without the rest of the body.
            return
        status, headers, body = render_problem(
            error, instance=self._scope["path"], request_id=self._scope[_REQUEST_ID]
        )
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _describe_client(caller: Client) -> dict[str, str]:
    """Return the log fields that identify the client."""
    if caller.doubtful is None:
        return {"client": caller.address}
    # A proxy's header may contain anything.
    return {"client": caller.address, "forwarded": redact(caller.doubtful)}


def _find_request_id(headers: list[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _SANE_ID.fullmatch(text) else None
    return None
