"""OAuth metadata of the protected resource (RFC 9728), where a login service issues the tokens."""

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
    """Serves the document."""

    def __init__(self, issuer: str, scopes: Collection[str], name: str, path: str) -> None:
        """Create the document.

        Args:
            issuer: The login service.
            scopes: Scopes that tools require.
            name: Name of the service, for people.
            path: Prefix of the paths at which the document is served.
        """
        self._issuer = issuer
        self._scopes = list(scopes)
        self._name = name
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request.

        Raises:
            HttpError: It is not a GET.
            MalformedRequestError: It does not name its host.
        """
        request = Request(scope, receive)
        if request.method != "GET":
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "", {"Allow": "GET, HEAD"})
        document = {
            # The well-known address of a resource without a path is about the whole host.
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
        """Add the URL of the metadata and the scopes to request to a challenge.

        Raises:
            MalformedRequestError: The request does not name its host.
        """
        challenge = error.headers["WWW-Authenticate"]
        parameters = [f'resource_metadata="{get_origin(request)}{self._path}{MCP_PATH}"']
        if "scope=" not in challenge:
            parameters.append(f'scope="{" ".join(self._scopes)}"')
        separator = ", " if "=" in challenge else " "
        error.headers["WWW-Authenticate"] = challenge + separator + ", ".join(parameters)


def get_origin(request: Request) -> str:
    """Return scheme and host of a request, as its client sees them.

    Raises:
        MalformedRequestError: The Host header is missing or invalid.
    """
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise MalformedRequestError("The Host header is missing or invalid.")
    return f"{request.url.scheme}://{host.lower()}"
