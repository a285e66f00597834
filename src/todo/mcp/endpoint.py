"""MCP endpoint: Streamable HTTP with JSON responses; one path serves both protocol eras."""

from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import orjson
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from todo.api.idempotency import find_key
from todo.app_state import get_state
from todo.auth.dependencies import authenticate
from todo.core.errors import ForbiddenError, HttpError, ProblemError, UnauthorizedError
from todo.mcp.dispatch import respond
from todo.mcp.metadata import ResourceMetadata
from todo.mcp.protocol import Headers, Server
from todo.mcp.tool import ToolCall

_JSON = "application/json"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class OriginError(ProblemError):
    """Rejection of a request from a page of another origin."""

    status = 403
    code = "origin-not-allowed"
    default_detail = (
        "Requests from this Origin are not allowed. The operator of this service can add it to "
        "TODO_CORS_ORIGINS."
    )


class McpEndpoint:
    """ASGI application that serves the tools of an MCP server.

    Scripts in pages from the `origins` may send requests. Without a login service, the OAuth
    metadata is None.
    """

    def __init__(
        self, server: Server, origins: Collection[str], metadata: ResourceMetadata | None
    ) -> None:
        self._server = server
        self._origins = frozenset(origins)
        self._metadata = metadata

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; raise a ProblemError if it is rejected."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except (UnauthorizedError, ForbiddenError) as error:
            if self._metadata is not None:
                self._metadata.extend_challenge(request, error)
            raise
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        headers = _join_headers(request)
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and not _is_own(request, origin):
            raise OriginError
        # This precedes the method check: clients learn from 401, not 405, that they need a token.
        caller = await authenticate(request.scope)
        if request.method != "POST":
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "", {"Allow": "POST"})
        if headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send Content-Type: {_JSON}.", None)
        call = ToolCall(get_state(request), caller, datetime.now(UTC), find_key(request))
        reply = await respond(self._server, await request.body(), headers, call)
        body = b"" if reply.body is None else orjson.dumps(reply.body)
        media_type = None if reply.body is None else _JSON
        fields = {"Cache-Control": "no-store", **reply.headers}
        return Response(body, reply.status, fields, media_type)


def _join_headers(request: Request) -> Headers:
    """Return the header fields; repeated ones are joined, so they match no expected value."""
    joined: dict[str, str] = {}
    for name, value in request.headers.items():
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _is_own(request: Request, origin: str) -> bool:
    """Return whether a page of this service sent the request.

    Equal origin and host are not enough: with DNS rebinding, an attacker's host name resolves to
    this machine. But this machine has no certificate for that name, and it is not a loopback name.
    """
    try:
        parts = urlsplit(origin)
        host = parts.hostname
    except ValueError:
        return False
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return origin == own and (parts.scheme == "https" or host in _LOOPBACK)
