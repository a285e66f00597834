"""Exception handlers that render the application's errors as problem+json (RFC 9457)."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from todo.core.errors import (
    HttpError,
    MalformedRequestError,
    ProblemError,
    ValidationFailedError,
)
from todo.core.problem_document import render_problem
from todo.core.validation_errors import word_errors
from todo.observability.logs import request_id_var


def add_exception_handlers(app: FastAPI) -> None:
    """Register handlers that render every error of the application as problem+json."""
    handlers: dict[type[Exception], Callable[[Any], ProblemError]] = {
        ProblemError: lambda error: error,
        RequestValidationError: _from_validation,
        HTTPException: _from_framework,
    }
    for kind, translate in handlers.items():
        app.add_exception_handler(kind, _handler(translate))


def _handler(
    translate: Callable[[Any], ProblemError],
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers = {"Allow": ", ".join(_find_methods(request))}
        status, headers, body = render_problem(
            translate(error), instance=request.url.path, request_id=request_id_var.get()
        )
        response = Response(body, status_code=status)
        response.raw_headers = headers
        return response

    return handle


def _from_framework(error: HTTPException) -> ProblemError:
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return MalformedRequestError("The request body cannot be read: send JSON in UTF-8.")
    return HttpError(error.status_code, error.detail, error.headers)


def _find_methods(request: Request) -> list[str]:
    """Return the methods of all routes of the path; the framework reports only the first route."""
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.match(request.url.path):
            methods |= route.methods
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods)


def _from_validation(error: RequestValidationError) -> ProblemError:
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return MalformedRequestError("The request body is not valid JSON.")
    return ValidationFailedError(errors=word_errors(found))
