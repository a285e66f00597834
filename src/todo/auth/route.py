"""Route class of the API, with checks that precede FastAPI's validation."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from todo.api.body_limits import refuse_many_values
from todo.auth.dependencies import Bearer
from todo.core.errors import MalformedRequestError

_READS = {"GET", "HEAD"}

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ApiRoute(APIRoute):
    """Route that authenticates the caller before parsing the body, and limits it before validation.

    Validating a body costs a hundred times more than receiving it, so unauthorized requests and
    objects with thousands of keys are rejected before validation.

    Writes with unknown query parameters are rejected: a client that sends `dry_run=true` does not
    want the change. Lists reject them in their query models.
    """

    def get_route_handler(self) -> _Handler:
        """Return the request handler with the additional checks."""
        handle = super().get_route_handler()
        bearers = list(_find_bearers(self.dependant))
        takes_body = self.body_field is not None
        is_write = _READS.isdisjoint(self.methods or _READS)
        self.parameters = frozenset(_find_parameters(self.dependant, self.openapi_extra))

        async def handle_within_limits(request: Request) -> Response:
            for bearer in bearers:
                await bearer(request)
            if not is_write and "if-match" in request.headers:
                raise MalformedRequestError(
                    "If-Match applies to changes only. Send If-None-Match with a read."
                )
            if is_write and request.scope["query_string"]:
                self.check_query(request)
            if takes_body and await request.body():
                await _check_body(request)
            return await handle(request)

        return handle_within_limits

    def check_query(self, request: Request) -> None:
        """Reject unknown query parameters.

        Raises:
            RequestValidationError: The query has an unknown parameter.
        """
        unknown = [name for name in request.query_params if name not in self.parameters]
        if unknown:
            raise RequestValidationError(
                [{"type": "extra_forbidden", "loc": ("query", name)} for name in unknown]
            )


def _find_parameters(dependant: Dependant, described: dict[str, Any] | None) -> Iterator[str]:
    """Yield the names of query parameters: declared ones, and those only described in OpenAPI."""
    for each in (described or {}).get("parameters", ()):
        if each.get("in") == "query":
            yield each["name"]
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from kind.model_fields
        else:
            yield field.alias
    for each in dependant.dependencies:
        yield from _find_parameters(each, None)


async def _check_body(request: Request) -> None:
    try:
        # Starlette caches the value, so the framework does not parse the body again.
        body = await request.json()
    except (ValueError, RecursionError):
        # The framework detects and reports invalid JSON as well.
        return
    refuse_many_values(body)


def _find_bearers(dependant: Dependant) -> Iterator[Bearer]:
    for each in dependant.dependencies:
        if isinstance(each.call, Bearer):
            yield each.call
        yield from _find_bearers(each)
