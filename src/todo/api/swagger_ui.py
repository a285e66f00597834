"""Interactive documentation: Swagger UI for `/openapi.json`, served by this program itself.

Only the static files of the distribution fastapi-standalone-docs are used. The page's policy
forbids inline scripts, inline styles and external addresses.
"""

import functools
import importlib.util
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.responses import FileResponse

from todo.core.errors import NotFoundError

PATH = "/docs"
# Swagger UI's style sheet contains its icons as data URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Relative URLs also work below a proxy's path prefix.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Todo backend</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js" defer></script>
<script src="docs/start.js" defer></script>
</head>
<body>
<noscript>This page needs JavaScript. The description itself is at /openapi.json.</noscript>
<div id="documentation"></div>
</body>
</html>
"""
# Tokens stay in the page's memory, and no external validator learns the URL.
_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
_SCRIPT = "text/javascript; charset=utf-8"
_FILES = {
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": "text/css; charset=utf-8",
}
_DISTRIBUTION = "fastapi_standalone_docs"
_FRESH = {"Cache-Control": "no-cache"}
# Files change only with an upgrade, and a cached page works with newer files.
_CACHED = {"Cache-Control": "public, max-age=86400"}

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def show_page() -> Response:
    """Show the documentation."""
    return Response(
        _PAGE,
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": POLICY, **_FRESH},
    )


@router.get(f"{PATH}/{{name}}")
async def send_part(name: str) -> Response:
    """Send a file that the page loads.

    Raises:
        NotFoundError: The page does not load a file of this name.
    """
    if name == "start.js":
        return Response(_START, media_type=_SCRIPT, headers=_FRESH)
    if name not in _FILES:
        raise NotFoundError
    return FileResponse(_find_folder() / name, media_type=_FILES[name], headers=_CACHED)


@functools.cache
def _find_folder() -> Path:
    # Located without an import: the distribution's code would modify FastAPI.
    found = importlib.util.find_spec(_DISTRIBUTION)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(_DISTRIBUTION, name=_DISTRIBUTION)
    return Path(found.submodule_search_locations[0]) / "static" / "swagger"
