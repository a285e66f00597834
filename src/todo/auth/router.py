"""HTTP routes of API tokens."""

from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response, status

from todo.api.conditional import IF_MATCH, etag_for, read_if_match
from todo.api.responses import StoredResponse, declare_headers, json_response
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep, requires
from todo.auth.repository import ApiTokenRepository
from todo.auth.route import ApiRoute
from todo.auth.schemas import TokenCreate, TokenCreated, TokenList
from todo.auth.service import VERSION, ApiTokenService, render_shown
from todo.writes.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/v1/tokens", tags=["tokens"], route_class=ApiRoute)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=TokenCreated,
    responses={201: declare_headers("ETag")},
)
@requires("admin")
async def create_token(request: Request, caller: CallerDep, body: TokenCreate) -> Response:
    """Create an API token for a program. Only this response contains the secret.

    The caller's token needs the scope `admin`.
    """
    fields = body.model_dump(mode="json", exclude_unset=True)

    async def handler(work: UnitOfWork) -> StoredResponse:
        made = await ApiTokenService(work).create(fields)
        return StoredResponse(
            201,
            _with_text(made.document, made.text),
            {"etag": etag_for(VERSION)},
            # The stored response must not contain the secret of the token.
            repeated=_with_text(made.document, None),
        )

    return await run_write(request, caller, handler, changes_existing=False)


@router.get("", response_model=TokenList)
@requires("admin")
async def list_tokens(request: Request, caller: CallerDep) -> Response:
    """List the API tokens, including expired ones, without their secrets.

    The caller's token needs the scope `admin`.
    """
    async with get_state(request).database.reading(caller.user) as session:
        tokens = await ApiTokenRepository(session, caller).list_all()
    items = b",".join(render_shown(token) for token in tokens)
    return json_response(request, b'{"items":[%b]}' % items)


@router.delete("/{token_id}", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=IF_MATCH)
@requires("admin")
async def revoke_token(request: Request, caller: CallerDep, token_id: UUID) -> Response:
    """Revoke an API token. Its next request is rejected.

    The caller's token needs the scope `admin`.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        await ApiTokenService(work).revoke(str(token_id), expected)
        return StoredResponse(204)

    return await run_write(request, caller, handler, changes_existing=True)


def _with_text(document: bytes, text: str | None) -> bytes:
    """Add the token's text to its document."""
    return orjson.dumps({**orjson.loads(document), "token": text})
