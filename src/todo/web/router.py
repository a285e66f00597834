"""Endpoints of the web page `/app`: static files with a Content Security Policy.

The policy forbids inline scripts and styles, other origins, and HTML from text. The page's URLs are
relative, so the page also works under a path prefix of a proxy.
"""

import functools
import hashlib
from pathlib import Path

from fastapi import APIRouter, Request, Response

from todo.api.conditional import matches_weakly
from todo.core.errors import NotFoundError

PATH = "/app"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PAGE = "page.html"
_TYPES = {_PAGE: "text/html", "app.js": "text/javascript", "app.css": "text/css"}

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("")
async def show_page(request: Request) -> Response:
    """Return the page."""
    return _send(request, _PAGE)


@router.get("/")
async def redirect_to_page() -> Response:
    """Redirect to the URL without the trailing slash; the page's links are relative to it."""
    return Response(status_code=308, headers={"Location": f"..{PATH}"})


@router.get("/{name}")
async def send_part(request: Request, name: str) -> Response:
    """Return the script or the style sheet; raise NotFoundError for other names."""
    if name == _PAGE or name not in _TYPES:
        raise NotFoundError
    return _send(request, name)


def _send(request: Request, name: str) -> Response:
    content, tag = _read(name)
    # Also sent with a 304, from which the browser updates its stored headers.
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    known = ",".join(request.headers.getlist("if-none-match"))
    if known and matches_weakly(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=f"{_TYPES[name]}; charset=utf-8", headers=headers)


@functools.cache
def _read(name: str) -> tuple[bytes, str]:
    # Read on first use, because most instances never serve the page.
    content = Path(__file__).with_name(name).read_bytes()
    return content, f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
