"""The dependency that tells a router who calls."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import Scope

from todo.auth.caller import Caller
from todo.limits import CALLER_FIELDS, RateLimit


class _Bearer(HTTPBearer):
    """Documents the scheme, and is itself the dependency: one call, none below it."""

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        return await authenticate(request.scope)


async def authenticate(scope: Scope) -> Caller:
    """Return the caller of a request or a WebSocket by its headers, counted once.

    Raises:
        UnauthorizedError: There is no token, or it is not accepted.
        RateLimitedError: The token is used too often.
    """
    state = scope["app"].state
    caller: Caller = await state.authenticator.identify(scope["headers"])
    limit: RateLimit | None = state.token_limit
    if limit is not None:
        scope[CALLER_FIELDS] = limit.take(caller.token_id or f"user {caller.user}")
    return caller


CallerDep = Annotated[
    Caller,
    Depends(_Bearer(scheme_name="bearer", description="A JSON Web Token, or an API token.")),
]
