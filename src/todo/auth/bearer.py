"""The dependency that tells a router who calls."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from todo.auth.caller import Caller
from todo.auth.tokens import Tokens  # noqa: TC001 - FastAPI reads annotations
from todo.errors import UnauthorizedError

_scheme = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of this service.")


async def get_subject(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_scheme)],
) -> str:
    """Return the subject of the request's token.

    Raises:
        UnauthorizedError: There is no token, or it is not accepted.
    """
    if credentials is None:
        raise UnauthorizedError
    tokens: Tokens = request.app.state.tokens
    return tokens.verify(credentials.credentials)


Subject = Annotated[str, Depends(get_subject)]


async def get_caller(user: Subject) -> Caller:
    """Return the caller of the request."""
    return Caller(user)


CallerDep = Annotated[Caller, Depends(get_caller)]
