"""HTTP routes of the page `/app`: the files beside this module, with a Content Security Policy.

The policy allows no inline script or style, no other origin, and no HTML from text. The page's URLs
are relative, so it also works below a proxy's prefix.
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
    """Redirect to the address without a slash, to which the links of the page are relative."""
    return Response(status_code=308, headers={"Location": f"..{PATH}"})


@router.get("/{name}")
async def send_part(request: Request, name: str) -> Response:
    """Return the script or the style sheet.

    Raises:
        NotFoundError: The page has no file of this name.
    """
    if name == _PAGE or name not in _TYPES:
        raise NotFoundError
    return _send(request, name)


def _send(request: Request, name: str) -> Response:
    content, tag = _read(name)
    # A 304 has them as well: the browser updates its stored headers.
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    known = ",".join(request.headers.getlist("if-none-match"))
    if known and matches_weakly(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=f"{_TYPES[name]}; charset=utf-8", headers=headers)


@functools.cache
def _read(name: str) -> tuple[bytes, str]:
    # Read on first use: most services are never opened in a browser.
    content = Path(__file__).with_name(name).read_bytes()
    return content, f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
