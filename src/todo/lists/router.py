"""HTTP routes of lists and their shares."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Request, Response, status

from todo.api.conditional import IF_MATCH, etag_for, read_if_match
from todo.api.pagination import read_cursor, render_cursor, render_page
from todo.api.responses import StoredResponse, declare_headers, json_response
from todo.api.schemas import to_json_dict
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep, requires
from todo.auth.route import ApiRoute
from todo.core.errors import NotFoundError
from todo.db.documents import StoredDocument, parse_list
from todo.lists.repository import ListRepository
from todo.lists.schemas import (
    ListCreate,
    ListDeletion,
    ListPage,
    ListQuery,
    ListRead,
    ListUpdate,
    ShareChange,
    ShareRead,
    Shares,
    UserId,
)
from todo.lists.service import ListService
from todo.writes.account_lock import find_account_version
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.core.domain import ListChanges, NewList, VisibleTaskList

PATH = "/api/v1/lists"
router = APIRouter(prefix=PATH, tags=["lists"], route_class=ApiRoute)

# A user ID comes from the issuer of the tokens, and may contain a slash.
_SHARE_PATH = "/{list_id}/shares/{user:path}"
User = Annotated[UserId, Path(description="ID of a user, as in the `sub` claim of a token.")]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=ListRead,
    responses={201: declare_headers("ETag", "Location")},
)
async def create_list(request: Request, caller: CallerDep, body: ListCreate) -> Response:
    """Create a list that belongs to the caller."""
    fields: NewList = to_json_dict(body)

    async def handler(work: UnitOfWork) -> StoredResponse:
        stored = await ListService(work).create(fields)
        return _changed(stored, 201, {"location": f"{PATH}/{stored.id}"})

    return await run_write(request, caller, handler, changes_existing=False)


@router.get("", response_model=ListPage)
async def list_lists(
    request: Request, caller: CallerDep, asked: Annotated[ListQuery, Query()]
) -> Response:
    """List the caller's lists and those shared with the caller, oldest first."""
    after = None if asked.cursor is None else str(read_cursor(asked.cursor, UUID))
    async with get_state(request).database.reading(caller.user) as session:
        found = await ListRepository(session, caller).find_page(after, asked.limit + 1)
    shown = found[: asked.limit]
    cursor = render_cursor(shown[-1][1]) if len(found) > len(shown) else None
    return json_response(request, render_page([document for document, _id in shown], cursor))


@router.get("/{list_id}", response_model=ListRead)
async def read_list(request: Request, caller: CallerDep, list_id: UUID) -> Response:
    """Return a list that the caller owns or that is shared with the caller."""
    async with get_state(request).database.reading(caller.user) as session:
        found = await ListRepository(session, caller).find(str(list_id))
    if found is None:
        raise NotFoundError
    # For other users, the document includes their access, which changes without a new version.
    tag = etag_for(found.version) if found.access == "owner" else None
    return json_response(request, found.body, tag)


@router.patch(
    "/{list_id}",
    response_model=ListRead,
    responses={200: declare_headers("ETag")},
    openapi_extra=IF_MATCH,
)
async def update_list(
    request: Request, caller: CallerDep, list_id: UUID, body: ListUpdate
) -> Response:
    """Change a list. Absent fields keep their value. Only the owner may do this."""
    changes: ListChanges = to_json_dict(body)
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        return _changed(await ListService(work).update(str(list_id), changes, expected))

    return await run_write(request, caller, handler, changes_existing=True)


@router.delete("/{list_id}", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=IF_MATCH)
async def delete_list(
    request: Request, caller: CallerDep, list_id: UUID, asked: Annotated[ListDeletion, Query()]
) -> Response:
    """Delete an empty list, or with `tasks=delete` a list and its tasks.

    Only the owner may do this.
    """
    expected, with_tasks = read_if_match(request), asked.tasks == "delete"

    async def handler(work: UnitOfWork) -> StoredResponse:
        await ListService(work).delete(str(list_id), expected, with_tasks=with_tasks)
        return StoredResponse(204)

    return await run_write(request, caller, handler, changes_existing=True)


@router.get("/{list_id}/shares", response_model=Shares)
async def list_shares(request: Request, caller: CallerDep, list_id: UUID) -> Response:
    """List the shares of a list. The owner sees all of them, other users their own."""
    async with get_state(request).database.reading(caller.user) as session:
        lists = ListRepository(session, caller)
        found = await lists.find(str(list_id))
        if found is None:
            raise NotFoundError
        # Read before the shares: an outdated entity tag only makes a later change fail.
        tag = etag_for(await find_account_version(session, found.owner))
        user = None if found.access == "owner" else caller.user
        shares = await lists.find_shares(str(list_id), user)
    body = b'{"items":[%b]}' % b",".join(shares)
    return json_response(request, body, tag, is_number_of_account=True)


@router.put(_SHARE_PATH, response_model=ShareRead, openapi_extra=IF_MATCH)
@requires("admin")
async def share_list(
    request: Request, caller: CallerDep, list_id: UUID, user: User, body: ShareChange
) -> Response:
    """Share a list with a user, or change the access of that user.

    Only the owner may do this. The token needs the scope `admin`. In `If-Match`, send the entity
    tag of the shares.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        shared = await ListService(work).share(str(list_id), user, body.access, expected)
        return StoredResponse(200, shared)

    return await run_write(request, caller, handler, changes_existing=True)


@router.delete(_SHARE_PATH, status_code=status.HTTP_204_NO_CONTENT, openapi_extra=IF_MATCH)
@requires("admin")
async def unshare_list(request: Request, caller: CallerDep, list_id: UUID, user: User) -> Response:
    """Stop sharing a list with a user.

    The owner and that user may do this. The token needs the scope `admin`. In `If-Match`, send the
    entity tag of the shares.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        await ListService(work).unshare(str(list_id), user, expected)
        return StoredResponse(204)

    return await run_write(request, caller, handler, changes_existing=True)


def _changed(
    stored: StoredDocument, code: int = 200, headers: dict[str, str] | None = None
) -> StoredResponse:
    """Return the response to a change of a list, which only the owner can make."""
    visible: VisibleTaskList = {**parse_list(stored.body), "access": "owner"}
    tag = etag_for(stored.version)
    return StoredResponse(code, orjson.dumps(visible), {"etag": tag, **(headers or {})})
