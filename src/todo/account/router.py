"""Endpoints of the caller's account."""

from fastapi import APIRouter, Request, Response, status

from todo.account.schemas import AccountRead, AccountUpdate
from todo.account.service import AccountService, read_account
from todo.api.conditional import IF_MATCH, etag_for, read_if_match
from todo.api.responses import StoredResponse, json_response
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep, requires
from todo.auth.route import ApiRoute
from todo.writes.account_lock import find_account_version
from todo.writes.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/v1/me", tags=["account"], route_class=ApiRoute)


@router.get("", response_model=AccountRead)
async def read_me(request: Request, caller: CallerDep) -> Response:
    """Return the caller's account. Its entity tag changes with everything that the caller owns."""
    async with get_state(request).database.reading(caller.user) as session:
        # Read before the body: an outdated entity tag only makes a later change fail.
        tag = etag_for(await find_account_version(session, caller.user))
        body = await read_account(session, caller.user)
    return json_response(request, body, tag, is_number_of_account=True)


@router.patch("", response_model=AccountRead, openapi_extra=IF_MATCH)
async def update_me(request: Request, caller: CallerDep, body: AccountUpdate) -> Response:
    """Set the time zone, which defines days such as "today"."""
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        return StoredResponse(200, await AccountService(work).set_zone(body.zone, expected))

    return await run_write(request, caller, handler, changes_existing=True)


@router.delete("", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=IF_MATCH)
@requires("admin")
async def delete_me(request: Request, caller: CallerDep) -> Response:
    """Delete the account with its tasks, lists, shares, tokens, conversations and journal contents.

    This cannot be undone. The token needs the scope `admin`.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        await AccountService(work).delete(expected)
        return StoredResponse(204)

    return await run_write(request, caller, handler, changes_existing=True)
