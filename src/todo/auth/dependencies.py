"""FastAPI dependencies: the caller of an endpoint, and the scope that the endpoint requires."""

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
"""The scope that a method requires; any other method requires `write`."""


def requires(scope: str) -> Callable[[_Endpoint], _Endpoint]:
    """Let an endpoint require another scope than its method does."""

    def mark(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _REQUIRED, scope)
        return endpoint

    return mark


class Bearer(HTTPBearer):
    """Documents the scheme, and is itself the dependency: one call, none below it."""

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        """Return the caller, whose token has the scope that the endpoint requires.

        Raises:
            ForbiddenError: It lacks the scope.
            ProblemError: As `authenticate`.
        """
        scope = request.scope
        caller: Caller | None = scope.get(_AUTHENTICATED)
        if caller is None:
            caller = scope[_AUTHENTICATED] = await authenticate(scope)
            default = _SCOPES.get(scope["method"], "write")
            caller.require(getattr(scope["endpoint"], _REQUIRED, default))
        return caller


async def authenticate(scope: Scope) -> Caller:
    """Return the caller of a request or a WebSocket by its headers, counted once.

    Raises:
        UnauthorizedError: There is no token, or it is not accepted.
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
