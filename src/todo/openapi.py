"""The OpenAPI document: what FastAPI finds, and what every route of a kind takes and answers.

Which kind a route is says its code: one that calls `answer_write` takes an `Idempotency-Key`, one
that calls `read_if_match` takes an `If-Match`. So the document cannot fall behind, and no route
pays for parameters that others read for it. Made when it is first asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from types import CodeType, FunctionType
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from todo.api.idempotency import MAX_KEY_LENGTH, REPLAYED
from todo.errors import PROBLEM_TYPE

Document = dict[str, Any]

_PROBLEM = PROBLEM_TYPE.decode()
# Empty is the same as absent.
_SANE = "^[A-Za-z0-9._:/@+-]{0,64}$"
_TEXT = {"type": "string"}
_SECONDS = {"type": "integer", "minimum": 1}


def _header(description: str, schema: Document, *, required: bool = False) -> Document:
    return {"description": description, "schema": schema, "required": required}


_HEADERS: Document = {
    "ETag": _header("The entity tag: for If-None-Match and If-Match.", _TEXT, required=True),
    "Location": _header("The address of what was made.", _TEXT, required=True),
    "Retry-After": _header("Seconds to wait.", _SECONDS, required=True),
    "WWW-Authenticate": _header("What a token must be, or allow.", _TEXT, required=True),
    "X-Request-ID": _header("By which the log knows the request.", _TEXT, required=True),
    "Idempotency-Replayed": _header("The answer is that of the first request.", {"const": "true"}),
    "RateLimit": _header("What is left of the limit, and when there is more.", _TEXT),
    "RateLimit-Policy": _header("The limit.", _TEXT),
}
assert REPLAYED in {name.lower() for name in _HEADERS}  # noqa: S101 - said twice in one place

_PARAMETERS: dict[str, tuple[str, Document]] = {
    "If-None-Match": ("Entity tags of what the caller has: 304 when it is still that.", _TEXT),
    "If-Match": ("Versions that a change is meant for: 412 when it is another by now.", _TEXT),
    "Idempotency-Key": (
        "Makes a request safe to repeat for 24 hours: the first answer is sent again.",
        {"type": "string", "pattern": f"^[ -~]{{1,{MAX_KEY_LENGTH}}}$"},
    ),
    "X-Agent": ("Which program acts, for the journal.", {"type": "string", "pattern": _SANE}),
    "X-Model": ("Which model it runs on.", {"type": "string", "pattern": _SANE}),
    "X-Run-Id": (
        "Which of its runs this is; it can be undone as one.",
        {"pattern": _SANE, **_TEXT},
    ),
}

_MEANINGS = {
    304: "The caller has it already.",
    400: "The request cannot be read.",
    401: "There is no token, or none that is accepted.",
    403: "The token, or what was shared, does not allow this.",
    404: "There is no such thing, or the caller may not see it: the answers are the same.",
    408: "The body did not arrive in time.",
    409: "The change does not go with how things stand.",
    412: "It was changed meanwhile: If-Match names another version.",
    413: "The body is too large.",
    422: "Fields are not acceptable, and `errors` names them; or the Idempotency-Key came with "
    "another request before.",
    428: "The token requires a header that is missing.",
    429: "Too many requests.",
    500: "A defect; the log has it by its request id.",
    503: "The service cannot answer now: Retry-After says when to try again.",
}
_EXTRA_HEADERS = {
    304: ("ETag",),
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
# What those who call this take.
_TAKEN = {
    "answer_read": ("If-None-Match",),
    "read_if_match": ("If-Match",),
    "answer_write": ("Idempotency-Key", "X-Agent", "X-Model", "X-Run-Id"),
}
_LIMITS = ("RateLimit", "RateLimit-Policy")


def complete(app: FastAPI, document: Document) -> Document:
    """Complete the document that FastAPI made of an application; return it.

    Args:
        app: The application; the names of its routes are the ids of the operations.
        document: Its document, which is changed.
    """
    endpoints = {route.name: route.endpoint for route in iter_route_contexts(app.routes)}
    components = document["components"]
    components["headers"] = _HEADERS
    components["parameters"] = {
        name: {"name": name, "in": "header", "description": text, "schema": schema}
        for name, (text, schema) in _PARAMETERS.items()
    }
    components["responses"] = {_name(status): _respond(status) for status in sorted(_MEANINGS)}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            endpoint = endpoints[operation["operationId"]]
            _complete_operation(path, method, operation, _find_names(endpoint))
    return document


def _complete_operation(path: str, method: str, operation: Document, calls: set[str]) -> None:
    answers = {
        code: answer for code, answer in operation["responses"].items() if code.startswith("2")
    }
    for code, answer in answers.items():
        answer["description"] = HTTPStatus(int(code)).phrase
        answer["headers"] = {
            name: _refer("headers", name)
            for name in _list_headers(code, operation, calls, tells_version=method != "get")
        }
    operation["responses"] = answers | {
        str(status): _refer("responses", _name(status))
        for status in sorted(_list_statuses(path, operation, calls))
    }
    if parameters := [name for call, names in _TAKEN.items() if call in calls for name in names]:
        known = operation.setdefault("parameters", [])
        known += [_refer("parameters", name) for name in parameters]


def _list_statuses(path: str, operation: Document, calls: set[str]) -> set[int]:
    statuses = {500, 503}
    if "security" in operation:
        statuses |= {400, 401, 403, 422, 429}
        asked = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        below = path.removeprefix("/api/{user_id}").count("{")
        if below or asked & {"list"} or "find_view" in calls:
            statuses.add(404)
    if "requestBody" in operation:
        statuses |= {408, 413}
    if "answer_read" in calls:
        statuses.add(304)
    if "read_if_match" in calls:
        statuses.add(412)
    if "answer_write" in calls:
        statuses |= {409, 428}
    return statuses


def _list_headers(
    code: str, operation: Document, calls: set[str], *, tells_version: bool
) -> list[str]:
    headers = ["X-Request-ID"]
    if "security" in operation:
        headers += _LIMITS
    if "answer_write" in calls:
        headers.append("Idempotency-Replayed")
    if "answer_read" in calls or ("version_tag" in calls and tells_version):
        headers.append("ETag")
    if code == "201" and "location" in calls:
        headers.append("Location")
    return headers


def _respond(status: int) -> Document:
    names = ("X-Request-ID", *_EXTRA_HEADERS.get(status, ()))
    response: Document = {
        "description": _MEANINGS[status],
        "headers": {name: _refer("headers", name) for name in names},
    }
    if status >= HTTPStatus.BAD_REQUEST:
        response["content"] = {_PROBLEM: {"schema": _refer("schemas", "Problem")}}
    return response


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _refer(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}


def _find_names(endpoint: Callable[..., Any] | None) -> set[str]:
    """Return what an endpoint mentions, with what functions of its own module mention for it."""
    found: set[str] = set()
    waiting = [endpoint]
    seen = set()
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        names = set(_walk(function.__code__))
        found |= names
        known = (function.__globals__.get(name) for name in names)
        waiting += [
            each for each in known if getattr(each, "__module__", None) == function.__module__
        ]
    return found


def _walk(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    constants: Iterable[object] = code.co_consts
    for constant in constants:
        if isinstance(constant, CodeType):
            yield from _walk(constant)
        elif isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):
            # The keys of a dictionary.
            yield from (each for each in constant if isinstance(each, str))
