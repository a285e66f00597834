"""The interactive documentation: Swagger UI over `/openapi.json`, served by this program itself.

Swagger UI comes with the distribution fastapi-standalone-docs, of which only the files are
used. The page works under a policy without inline scripts, inline styles and outside addresses.
"""

import functools
import importlib.util
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.responses import FileResponse

from todo.core.errors import NotFoundError

PATH = "/docs"
# Swagger UI's arrows and locks are images inside of its style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Addresses are relative, so that the page also works below a proxy's prefix.
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
# Tokens stay in the page's memory, and no address is shown to a validator elsewhere.
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
# They change only with an upgrade; a page of yesterday with a script of today still works.
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
    """Send what the page loads.

    Raises:
        NotFoundError: It loads no such thing.
    """
    if name == "start.js":
        return Response(_START, media_type=_SCRIPT, headers=_FRESH)
    if name not in _FILES:
        raise NotFoundError
    return FileResponse(_find_folder() / name, media_type=_FILES[name], headers=_CACHED)


@functools.cache
def _find_folder() -> Path:
    # Found without an import: the distribution's own code would change FastAPI's.
    found = importlib.util.find_spec(_DISTRIBUTION)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(_DISTRIBUTION, name=_DISTRIBUTION)
    return Path(found.submodule_search_locations[0]) / "static" / "swagger"
