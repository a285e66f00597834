"""HTTP routes of tags."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import TypeAdapter

from todo.api.conditional import IF_MATCH, etag_for, read_if_match
from todo.api.pagination import read_cursor, render_cursor, render_page
from todo.api.responses import StoredResponse, json_response
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep
from todo.auth.route import ApiRoute
from todo.core.errors import ReadOnlyError
from todo.tags.repository import find_names
from todo.tags.schemas import TagPage, TagQuery, TagRenamed, TagUpdate
from todo.tags.service import TagService
from todo.tasks.schemas import StoredTag
from todo.writes.account_lock import find_account_version
from todo.writes.unit_of_work import UnitOfWork

PATH = "/api/v1/tags"
router = APIRouter(prefix=PATH, tags=["tags"], route_class=ApiRoute)

# A tag may contain a slash.
_ONE = "/{name:path}"
Name = Annotated[StoredTag, Path(description="The tag.")]
_check: TypeAdapter[str] = TypeAdapter(StoredTag)


@router.get("", response_model=TagPage)
async def list_tags(
    request: Request, caller: CallerDep, asked: Annotated[TagQuery, Query()]
) -> Response:
    """List the tags of the caller's tasks, sorted by name."""
    if caller.list_id is not None:
        raise ReadOnlyError(
            "This token is restricted to one list; tags belong to the whole account."
        )
    after = None if asked.cursor is None else read_cursor(asked.cursor, _check.validate_python)
    async with get_state(request).database.reading(caller.user) as session:
        # Read before the tags: an outdated entity tag only makes a later change fail.
        tag = etag_for(await find_account_version(session, caller.user))
        found = await find_names(session, caller.user, after, asked.limit + 1)
    shown = found[: asked.limit]
    cursor = render_cursor(shown[-1]) if len(found) > len(shown) else None
    page = render_page([orjson.dumps({"name": n}) for n in shown], cursor)
    return json_response(request, page, tag, is_number_of_account=True)


@router.patch(_ONE, response_model=TagRenamed, openapi_extra=IF_MATCH)
async def rename_tag(request: Request, caller: CallerDep, name: Name, body: TagUpdate) -> Response:
    """Rename a tag on all tasks of the caller, at most 1000.

    If the new name already exists, the two tags become one. In `If-Match`, send the entity tag of
    the list of tags.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        count = await TagService(work).rename(name, body.name, expected)
        return StoredResponse(200, orjson.dumps({"name": body.name, "tasks": count}))

    return await run_write(request, caller, handler, changes_existing=True)


@router.delete(_ONE, status_code=status.HTTP_204_NO_CONTENT, openapi_extra=IF_MATCH)
async def delete_tag(request: Request, caller: CallerDep, name: Name) -> Response:
    """Remove a tag from all tasks of the caller, at most 1000.

    In `If-Match`, send the entity tag of the list of tags.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        await TagService(work).delete(name, expected)
        return StoredResponse(204)

    return await run_write(request, caller, handler, changes_existing=True)
