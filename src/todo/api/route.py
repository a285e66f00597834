"""The route class of the API: what happens between the match of a route and its validation."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from todo.api.body import refuse_many_values
from todo.auth.bearer import Bearer

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ApiRoute(APIRoute):
    """Identifies the caller before the body is parsed, and bounds the body before validation.

    A body costs a hundred times more to validate than to receive: nobody whose token does not allow
    the operation, and no object with thousands of keys, gets that far.
    """

    def get_route_handler(self) -> _Handler:
        """Return what handles a request."""
        handle = super().get_route_handler()
        bearers = list(_find_bearers(self.dependant))
        takes_body = self.body_field is not None

        async def handle_within_limits(request: Request) -> Response:
            for bearer in bearers:
                await bearer(request)
            if takes_body and await request.body():
                await _check_body(request)
            return await handle(request)

        return handle_within_limits


async def _check_body(request: Request) -> None:
    try:
        # Starlette keeps the value: the framework does not parse the body again.
        body = await request.json()
    except (ValueError, RecursionError):
        # Not JSON, which the framework finds and reports as well.
        return
    refuse_many_values(body)


def _find_bearers(dependant: Dependant) -> Iterator[Bearer]:
    for each in dependant.dependencies:
        if isinstance(each.call, Bearer):
            yield each.call
        yield from _find_bearers(each)
