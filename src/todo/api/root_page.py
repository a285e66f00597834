"""Root of the service: a small page for browsers, and the same content as JSON.

It needs no token and reads no data. Relative links also work below a proxy's path prefix.
"""

import base64
import hashlib

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from todo import __version__
from todo.api.accept import prefers
from todo.api.examples import show_example
from todo.api.schemas import ResponseSchema

NAME = "Todo backend"
_HTML = "text/html"
_JSON = "application/json"

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:10vh auto;padding:0 1rem}"
    "dt{margin-top:1rem}dd{margin:0}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The content changes with an upgrade, so caches must revalidate it.
_HEADERS = {"Cache-Control": "no-cache", "Vary": "Accept"}

_PAGE = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{NAME}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{NAME}</h1>
<p>Version {__version__}. This is the API of a todo service.</p>
<dl>
<dt><a href="app">Page</a></dt>
<dd>Your tasks, quick add, and what agents have changed.</dd>
<dt><a href="docs">Documentation</a></dt>
<dd>Read about every endpoint and try it with a token.</dd>
<dt><a href="openapi.json">OpenAPI document</a></dt>
<dd>The API description for programs and code generators.</dd>
<dt><a href="health">Health</a></dt>
<dd>Shows whether the service can answer requests now.</dd>
</dl>
</main>
</body>
</html>
"""


class ServiceLinks(ResponseSchema):
    """Links of the service, relative to the URL of this document."""

    app: str = Field(description="The web page for users.")
    docs: str = Field(description="The interactive documentation.")
    openapi: str = Field(description="The OpenAPI document.")
    health: str = Field(description="The health check: 200 while the service can answer requests.")
    api: str = Field(description="The prefix of the API.")


class ServiceInfo(ResponseSchema):
    """Name, version and entry points of the service."""

    model_config = ConfigDict(
        json_schema_extra=show_example(
            {
                "name": NAME,
                "version": "1.0.0",
                "links": {
                    "app": "app",
                    "docs": "docs",
                    "openapi": "openapi.json",
                    "health": "health",
                    "api": "api/v1/",
                },
            }
        )
    )

    name: str
    version: str
    links: ServiceLinks


_INFO = ServiceInfo(
    name=NAME,
    version=__version__,
    links=ServiceLinks(
        app="app", docs="docs", openapi="openapi.json", health="health", api="api/v1/"
    ),
)

_BODY = _INFO.model_dump_json().encode()

router = APIRouter()


@router.get(
    "/",
    tags=["service"],
    response_model=ServiceInfo,
    responses={200: {"content": {_HTML: {"schema": {"type": "string"}}}}},
)
async def show_service(request: Request) -> Response:
    """Show name, version and links.

    The `Accept` header selects a page for browsers (`text/html`) or JSON, the default. No token is
    needed.
    """
    if prefers(_HTML, request.headers.getlist("accept")):
        headers = {**_HEADERS, "Content-Security-Policy": POLICY}
        return Response(_PAGE, media_type=f"{_HTML}; charset=utf-8", headers=headers)
    return Response(_BODY, media_type=_JSON, headers=_HEADERS)
