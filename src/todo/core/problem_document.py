"""Problem documents (RFC 9457): rendering of errors for callers.

It is independent of the framework, because the management application and the server use it too.
"""

import json
from http import HTTPStatus

from todo.core.errors import ProblemError

PROBLEM_TYPE = b"application/problem+json"
MAX_ERRORS = 100
"""Maximum number of errors in one response; further ones usually have the same cause."""


def render_problem(
    error: ProblemError, *, instance: str, request_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of an error response; `instance` is the request's path."""
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "request_id": request_id,
    }
    if error.errors is not None:
        problem["errors"] = [dict(item) for item in error.errors[:MAX_ERRORS]]
        omitted = len(error.errors) - MAX_ERRORS
        if omitted > 0:
            problem["errors_omitted"] = omitted
            problem["detail"] = f"{error.detail} {omitted} more are not shown."
    # ASCII only, so that an unpaired surrogate from the caller stays escaped.
    body = json.dumps(problem).encode("ascii")
    headers = [
        (b"content-type", PROBLEM_TYPE),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    return error.status, headers, body
