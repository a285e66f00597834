"""OpenAPI document: FastAPI's own, completed with shared parameters and responses.

Most of them follow from the operation: a JSON read has an entity tag, any other method is a write
with an `Idempotency-Key`, a path with parameters may return 404. Routes declare the rest:
`If-Match`, response headers, further status codes. The document is built on its first request.
"""

import json
import re
from http import HTTPStatus
from typing import Any

from todo.api.examples import KEY
from todo.api.idempotency import MAX_KEY_LENGTH, REPLAYED
from todo.core.errors import (
    DatabaseUnavailableError,
    ForbiddenError,
    GoneError,
    InternalError,
    MalformedRequestError,
    NotFoundError,
    PreconditionRequiredError,
    RateLimitedError,
    RequestTimeoutError,
    StateConflictError,
    TooLargeError,
    UnauthorizedError,
    ValidationFailedError,
    VersionMismatchError,
)
from todo.core.label import LABEL_CHARACTERS, LABEL_LENGTH
from todo.core.problem_document import PROBLEM_TYPE, render_problem

Document = dict[str, Any]

_PROBLEM = PROBLEM_TYPE.decode()
# An empty label counts as absent.
_LABEL = f"^[{LABEL_CHARACTERS}]{{0,{LABEL_LENGTH}}}$"
_TEXT = {"type": "string"}
_INSTANCE = "/api/v1/tasks"
_REQUEST_ID = "019b0a2e5c0070008000000000000c0d"
_SECONDS = {"type": "integer", "minimum": 1}


def _header(description: str, schema: Document, *, required: bool = False) -> Document:
    return {"description": description, "schema": schema, "required": required}


_HEADERS: Document = {
    "ETag": _header(
        "Entity tag of the version, for If-None-Match and If-Match.", _TEXT, required=True
    ),
    "Location": _header("Path of the created resource.", _TEXT, required=True),
    "Retry-After": _header("Seconds to wait before retrying.", _SECONDS, required=True),
    "WWW-Authenticate": _header(
        "Reason why the token was rejected (RFC 6750).", _TEXT, required=True
    ),
    "X-Request-ID": _header(
        "ID of the request, under which the server logs it.", _TEXT, required=True
    ),
    "Idempotency-Replayed": _header(
        "Whether the response is the stored response of an earlier "
        "request with this Idempotency-Key.",
        {"const": "true"},
    ),
    "RateLimit": _header("Remaining requests and the seconds until there are more.", _TEXT),
    "RateLimit-Policy": _header("The limit.", _TEXT),
}
assert REPLAYED in {name.lower() for name in _HEADERS}  # noqa: S101 - keeps both in step

_PARAMETERS: dict[str, tuple[str, Document]] = {
    "If-None-Match": (
        "Entity tags of the versions that the client has cached; 304 if one of them is current.",
        _TEXT,
    ),
    "If-Match": (
        "Entity tags of the versions that the request may change; 412 if none of them is current.",
        _TEXT,
    ),
    "Idempotency-Key": (
        "Makes the request safe to repeat for 24 hours: a repetition gets the first response.",
        {"type": "string", "pattern": f"^[ -~]{{1,{MAX_KEY_LENGTH}}}$"},
    ),
    "X-Agent": (
        "Name of the program that sends the request, for the journal.",
        {"type": "string", "pattern": _LABEL},
    ),
    "X-Model": ("Name of the model that the program uses.", {"type": "string", "pattern": _LABEL}),
    "X-Run-Id": (
        "ID of the program's run. All changes of a run can be undone together.",
        {"pattern": _LABEL, **_TEXT},
    ),
}

_MEANINGS = {
    304: "Not modified: the client's version is current.",
    400: "The request is malformed.",
    401: "The token is missing or invalid.",
    403: "The token lacks the required scope, or the caller's access to the resource does not "
    "allow the operation.",
    404: "Not found, or not visible to the caller.",
    408: "The request body did not arrive in time.",
    409: "The request conflicts with the current state of the resource.",
    410: "The resource has expired.",
    412: "The resource has changed: If-Match does not name its current version, or a plan is "
    "outdated.",
    413: "The request body is too large.",
    422: "Fields or parameters are invalid, as listed in `errors`; or the Idempotency-Key was "
    "used with a different request.",
    428: "The token requires a header that the request lacks.",
    429: "Too many requests; retry after the seconds in Retry-After.",
    500: "Unexpected error, logged under the request ID.",
    503: "Temporarily unavailable; retry after the seconds in Retry-After.",
}
# Example error for each status code.
_ERRORS = {
    400: MalformedRequestError("The request body is not valid JSON."),
    401: UnauthorizedError(),
    403: ForbiddenError("write"),
    404: NotFoundError(),
    408: RequestTimeoutError(),
    409: StateConflictError(),
    410: GoneError(),
    412: VersionMismatchError(),
    413: TooLargeError(),
    422: ValidationFailedError(
        errors=[
            {"in": "body", "field": "title", "code": "missing", "message": "is required"},
        ]
    ),
    428: PreconditionRequiredError(),
    429: RateLimitedError(),
    500: InternalError(),
    503: DatabaseUnavailableError(),
}
_EXTRA_HEADERS = {
    304: ("ETag",),
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_READ_PARAMETERS = ("If-None-Match",)
_WRITE_PARAMETERS = ("Idempotency-Key", "X-Agent", "X-Model", "X-Run-Id")
_LIMITS = ("RateLimit", "RateLimit-Policy")
_DESCRIPTION = (
    "Tasks, lists and tags for people and AI agents. Every change is recorded in a journal and "
    "can be undone. All endpoints except health checks require a bearer token. Leading and "
    "trailing white space of titles, names and messages is removed, and text is normalized to "
    "Unicode NFC, before its length is checked against `maxLength`."
)
# Tags of the routers, in the order of the documentation.
_TAGS = {
    "tasks": "Create, find, change and complete tasks.",
    "lists": "Lists of tasks, and their shares with other users.",
    "tags": "The tags of the caller's tasks.",
    "plans": "Changes that are previewed first and applied later, exactly as previewed.",
    "assistant": "Messages to the assistant, and conversations with it.",
    "journal": "The change history: read it, stream it, undo it.",
    "account": "The caller's own account.",
    "tokens": "API tokens with scopes and limits.",
    "front ends": "The same tasks in the format of existing front ends.",
    "health": "Liveness, readiness and startup checks.",
    "service": "Information about this service.",
}


def complete(document: Document) -> Document:
    """Complete FastAPI's document in place, and return it."""
    document["info"] |= {
        "description": _DESCRIPTION,
        "contact": {"name": "The operator of this server"},
        "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    }
    # Relative, because clients may reach this server under any address.
    document["servers"] = [{"url": "/", "description": "This server."}]
    used = {
        tag for item in document["paths"].values() for each in item.values() for tag in each["tags"]
    }
    document["tags"] = [
        {"name": name, "description": text} for name, text in _TAGS.items() if name in used
    ]
    components = document["components"]
    components["headers"] = _HEADERS
    components["parameters"] = {
        name: {"name": name, "in": "header", "description": text, "schema": schema}
        for name, (text, schema) in _PARAMETERS.items()
    }
    components["responses"] = {_name(status): _respond(status) for status in sorted(_MEANINGS)}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete_operation(path, method, operation)
            if "requestBody" in operation:
                _describe_body(operation["requestBody"], components["schemas"])
            # Operations without a token need an explicit empty list.
            operation.setdefault("security", [])
    for schema in components["schemas"].values():
        if KEY in schema:
            schema["examples"] = list(json.loads(schema.pop(KEY)).values())
    for name in _find_sent(document):
        _describe_defaults(components["schemas"][name])
    return document


def _find_sent(document: Document) -> set[str]:
    """Return the names of the schemas that request bodies use."""
    found: set[str] = set()
    waiting: list[Any] = [
        operation["requestBody"]
        for item in document["paths"].values()
        for operation in item.values()
        if "requestBody" in operation
    ]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(document["components"]["schemas"][name])
    return found


def _describe_defaults(schema: Document) -> None:
    """Describe defaults in words: code generators treat fields with `default` as present."""
    for field in schema.get("properties", {}).values():
        if "default" in field:
            default = json.dumps(field.pop("default"))
            text = f"{field.get('description', '')} Default: `{default}`."
            field["description"] = text.strip()


def _describe_body(body: Document, schemas: Document) -> None:
    """Add the description and the named examples of its schema to a request body."""
    (content,) = body["content"].values()
    schema = content["schema"]
    # An optional body is a union with null.
    reference = schema.get("$ref") or schema["anyOf"][0]["$ref"]
    described = schemas[reference.rpartition("/")[2]]
    body["description"] = described["description"]
    content["examples"] = {
        re.sub(r"\W+", "-", name.lower()): {"summary": name, "value": value}
        for name, value in json.loads(described[KEY]).items()
    }


def _complete_operation(path: str, method: str, operation: Document) -> None:
    answers = {
        code: answer for code, answer in operation["responses"].items() if code.startswith("2")
    }
    is_read, is_write = _find_kind(method, operation)
    for code, answer in answers.items():
        answer["description"] = HTTPStatus(int(code)).phrase
        shared = _list_headers(operation, is_read=is_read, is_write=is_write)
        own = answer.get("headers", {})
        answer["headers"] = {name: _refer("headers", name) for name in shared} | own
    names = _READ_PARAMETERS * is_read + _WRITE_PARAMETERS * is_write
    if parameters := [*operation.get("parameters", ()), *(_refer("parameters", n) for n in names)]:
        operation["parameters"] = parameters
    statuses = _list_statuses(path, operation, is_read=is_read, is_write=is_write)
    operation["responses"] = answers | {
        str(status): _refer("responses", _name(status)) for status in sorted(statuses)
    }


def _find_kind(method: str, operation: Document) -> tuple[bool, bool]:
    """Return whether an operation with a token reads JSON, and whether it writes."""
    if not operation.get("security"):
        return False, False
    if method == "get":
        return "application/json" in operation["responses"]["200"]["content"], False
    return False, True


def _list_statuses(path: str, operation: Document, *, is_read: bool, is_write: bool) -> set[int]:
    # Status codes that the route declares; FastAPI adds "4XX" and 422.
    statuses = {int(code) for code in operation["responses"] if code[0] > "2" and code.isdigit()}
    statuses |= {400, 500, 503}
    parameters = operation.get("parameters", ())
    if operation.get("security"):
        statuses |= {401, 403, 422, 429}
        below = path.removeprefix("/api/{user_id}").count("{")
        if below or any(each.get("name") == "list" for each in parameters):
            statuses.add(404)
    if "requestBody" in operation:
        statuses |= {408, 413}
    if is_read:
        statuses.add(304)
    if is_write:
        statuses |= {409, 428}
    if _refer("parameters", "If-Match") in parameters:
        statuses.add(412)
    return statuses


def _list_headers(operation: Document, *, is_read: bool, is_write: bool) -> list[str]:
    headers = ["X-Request-ID"]
    if operation.get("security"):
        headers += _LIMITS
    if is_write:
        headers.append("Idempotency-Replayed")
    if is_read:
        headers.append("ETag")
    return headers


def _respond(status: int) -> Document:
    names = ("X-Request-ID", *_EXTRA_HEADERS.get(status, ()))
    response: Document = {
        "description": _MEANINGS[status],
        "headers": {name: _refer("headers", name) for name in names},
    }
    if status >= HTTPStatus.BAD_REQUEST:
        _, _, body = render_problem(_ERRORS[status], instance=_INSTANCE, request_id=_REQUEST_ID)
        content = {"schema": _refer("schemas", "Problem"), "example": json.loads(body)}
        response["content"] = {_PROBLEM: content}
    return response


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _refer(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}
