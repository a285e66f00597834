"""OAuth protected resource metadata (RFC 9728), which names the login service."""

import re
from collections.abc import Collection
from http import HTTPStatus

import orjson
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from todo.api.body_limits import MCP_PATH
from todo.core.errors import HttpError, MalformedRequestError, ProblemError

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class ResourceMetadata:
    """ASGI application that serves the metadata document."""

    def __init__(self, issuer: str, scopes: Collection[str], name: str, path: str) -> None:
        """Create the document; `path` is the prefix of the URL paths at which it is served."""
        self._issuer = issuer
        self._scopes = list(scopes)
        self._name = name
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request.

        Raises:
            HttpError: The method is neither GET nor HEAD.
            MalformedRequestError: The Host header is missing or invalid.
        """
        request = Request(scope, receive)
        if request.method != "GET":
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "", {"Allow": "GET, HEAD"})
        document = {
            # Without a resource path, the well-known URL describes the whole host.
            "resource": get_origin(request) + request.url.path.removeprefix(self._path),
            "authorization_servers": [self._issuer],
            "scopes_supported": self._scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": self._name,
        }
        response = Response(
            orjson.dumps(document),
            media_type="application/json",
            headers={"Cache-Control": "no-cache"},
        )
        await response(scope, receive, send)

    def extend_challenge(self, request: Request, error: ProblemError) -> None:
        """Add the metadata URL and the required scopes to the WWW-Authenticate header of an error.

        Raises:
            MalformedRequestError: The Host header is missing or invalid.
        """
        challenge = error.headers["WWW-Authenticate"]
        parameters = [f'resource_metadata="{get_origin(request)}{self._path}{MCP_PATH}"']
        if "scope=" not in challenge:
            parameters.append(f'scope="{" ".join(self._scopes)}"')
        separator = ", " if "=" in challenge else " "
        error.headers["WWW-Authenticate"] = challenge + separator + ", ".join(parameters)


def get_origin(request: Request) -> str:
    """Return the origin to which a client sent a request, or raise a MalformedRequestError."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise MalformedRequestError("The Host header is missing or invalid.")
    return f"{request.url.scheme}://{host.lower()}"
