"""FastAPI dependencies for the caller of an endpoint and the scope that the endpoint requires."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import Scope

from todo.api.rate_limit import CALLER_FIELDS
from todo.api.request_body import CALLER
from todo.core.caller import Caller

if TYPE_CHECKING:
    from todo.app_state import AppState

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

_AUTHENTICATED = "todo.authenticated"
_REQUIRED = "required_scope"
_SCOPES = {"GET": "read", "DELETE": "delete"}
"""Required scope by method; other methods require `write`."""


def requires(scope: str) -> Callable[[_Endpoint], _Endpoint]:
    """Return a decorator that replaces the scope that an endpoint requires by default."""

    def mark(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _REQUIRED, scope)
        return endpoint

    return mark


class Bearer(HTTPBearer):
    """Security scheme that is also the dependency itself, which saves a call per request."""

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        """Return the caller if its token has the scope that the endpoint requires.

        Raises:
            ForbiddenError: The token lacks the scope.
            ProblemError: As for `authenticate`.
        """
        scope = request.scope
        caller: Caller | None = scope.get(_AUTHENTICATED)
        if caller is None:
            caller = scope[_AUTHENTICATED] = await authenticate(scope)
            default = _SCOPES.get(scope["method"], "write")
            caller.require(getattr(scope["endpoint"], _REQUIRED, default))
        return caller


async def authenticate(scope: Scope) -> Caller:
    """Identify the caller of a request or WebSocket, and charge its rate limit once.

    Raises:
        UnauthorizedError: The token is missing or invalid.
        RateLimitedError: The token is used too often.
    """
    state: AppState = scope["app"].state
    caller: Caller = scope.get(CALLER) or await state.authenticator.identify(scope["headers"])
    if state.token_limit is not None:
        scope[CALLER_FIELDS] = state.token_limit.take(caller.token_id or f"user {caller.user}")
    return caller


CallerDep = Annotated[
    Caller,
    Depends(Bearer(scheme_name="bearer", description="A JSON Web Token, or an API token.")),
]
