"""Task endpoints for existing front ends."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response, status
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from todo.api.conditional import IF_MATCH, etag_for, read_if_match
from todo.api.query import describe_query
from todo.api.responses import StoredResponse, declare_headers, json_response
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep
from todo.compat.field_aliases import read_parameters, read_tag, refuse_contradiction, refuse_state
from todo.compat.mapping import read_changes, read_new, render
from todo.compat.offset_pages import read_numbered
from todo.compat.path_convertor import SEGMENT
from todo.compat.route import FrontEndRoute
from todo.compat.schemas import (
    MAX_SKIPPED,
    MAX_SKIPPED_IN_SEARCH,
    FrontEndCreate,
    FrontEndMessage,
    FrontEndQuery,
    FrontEndState,
    FrontEndTask,
    FrontEndToggle,
    FrontEndUpdate,
)
from todo.core.caller import Caller
from todo.core.errors import NotFoundError, OtherUserError, ValidationFailedError
from todo.core.validation_errors import field_error
from todo.db.documents import StoredDocument, parse_task
from todo.tasks import query as tasks_query
from todo.tasks.account_zone import fetch_zone
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.repository import TaskRepository
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.core.domain import TaskChanges

router = APIRouter(prefix=f"/api/{SEGMENT}/tasks", tags=["front ends"], route_class=FrontEndRoute)

_CHANGE: dict[str, Any] = {
    "response_model": FrontEndTask,
    "responses": {200: declare_headers("ETag")},
}
_DEFAULT_LIMIT = 20
_MAX_LIMIT = 100


async def _get_own(
    caller: CallerDep, user_id: Annotated[str, Path(description="The user of the token.")]
) -> Caller:
    """Return the caller; raise OtherUserError if the URL has the ID of another user."""
    if user_id != caller.user:
        raise OtherUserError
    return caller


OwnCaller = Annotated[Caller, Depends(_get_own)]


@router.get("", response_model=list[FrontEndTask], openapi_extra=describe_query(FrontEndQuery))
async def list_front_end_tasks(request: Request, caller: OwnCaller) -> Response:
    """List the caller's tasks, by due time by default."""
    query, skipped = _read_query(request, caller)
    async with get_state(request).database.reading(caller.user) as session:
        documents = await read_numbered(session, caller, query, datetime.now(UTC), skipped)
    return json_response(request, b"[%b]" % b",".join(render(parse_task(i)) for i in documents))


def _read_query(request: Request, caller: Caller) -> tuple[tasks_query.Query, int]:
    """Return the query and the number of tasks to skip."""
    names = FrontEndQuery.model_fields
    given, sent = read_parameters(request.query_params.multi_items(), names, caller.user)
    tag = read_tag(given["tag"], sent["tag"]) if "tag" in given else None
    try:
        asked = FrontEndQuery.model_validate({**given, "tag": tag})
    except ValidationError as error:
        items = [
            item | {"loc": ("query", sent.get(str(item["loc"][0]), item["loc"][0]))}
            for item in error.errors(include_url=False)
        ]
        raise RequestValidationError(items) from None
    if asked.page is not None and asked.offset is not None:
        raise refuse_contradiction("query", [sent["page"], sent["offset"]])
    limit = asked.limit or (_MAX_LIMIT if asked.page is None else _DEFAULT_LIMIT)
    skipped = ((asked.page or 1) - 1) * limit + (asked.offset or 0)
    search = (asked.search or "").strip() or None
    most = MAX_SKIPPED if search is None else MAX_SKIPPED_IN_SEARCH
    if skipped > most:
        raise _refuse_page(most, limit, sent.get("offset"))
    state = asked.status
    if asked.completed is not None:
        state = "completed" if asked.completed else "open"
        if asked.status not in {None, state}:
            raise refuse_contradiction("query", [sent["status"], sent["completed"]])
    query = tasks_query.Query(
        status=state,
        priority=asked.priority,
        tags=() if asked.tag is None else (asked.tag,),
        due=asked.due_status,
        search=search,
        sort=asked.sort or "due",
        descending=asked.order == "desc",
        limit=limit,
    )
    return query, skipped


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=FrontEndTask,
    responses={201: declare_headers("ETag")},
)
async def create_front_end_task(
    request: Request, caller: OwnCaller, body: FrontEndCreate
) -> Response:
    """Create a task in the format of existing front ends."""
    rules = RuleEvaluation()
    await _prepare(rules, body)

    async def handler(work: UnitOfWork) -> StoredResponse:
        account, _ = await work.lock(caller.user)
        fields, is_done = read_new(body, account.zone)
        tasks = TaskService(work, rules)
        stored = await tasks.create(fields)
        if is_done:
            stored = await tasks.complete(stored.id)
        return _changed(stored, 201)

    return await run_write(request, caller, handler, changes_existing=False)


@router.get("/{task_id}", response_model=FrontEndTask)
async def read_front_end_task(request: Request, caller: OwnCaller, task_id: UUID) -> Response:
    """Return a task in the format of existing front ends."""
    async with get_state(request).database.reading(caller.user) as session:
        stored = await TaskRepository(session, caller).find(str(task_id))
    if stored is None:
        raise NotFoundError
    return json_response(request, render(parse_task(stored.body)), etag_for(stored.version))


@router.patch("/{task_id}", name="change_front_end_task", **_CHANGE, openapi_extra=IF_MATCH)
@router.put("/{task_id}", **_CHANGE, openapi_extra=IF_MATCH)
async def update_front_end_task(
    request: Request, caller: OwnCaller, task_id: UUID, body: FrontEndUpdate
) -> Response:
    """Change a task. Absent and unchanged fields keep their value."""
    expected, rules = read_if_match(request), RuleEvaluation()
    await _prepare(rules, body)

    async def handler(work: UnitOfWork) -> StoredResponse:
        tasks = TaskService(work, rules)
        task = await tasks.get_to_change(str(task_id), expected)
        changes = read_changes(body, task, await fetch_zone(work.session, caller.user))
        return _changed(await tasks.update(str(task_id), changes))

    return await run_write(request, caller, handler, changes_existing=True)


_STATE = {"parameters": [*IF_MATCH["parameters"], *describe_query(FrontEndState)["parameters"]]}


@router.patch(
    "/{task_id}/status", name="set_front_end_task_status", **_CHANGE, openapi_extra=_STATE
)
@router.patch("/{task_id}/toggle", name="switch_front_end_task", **_CHANGE, openapi_extra=_STATE)
@router.patch("/{task_id}/complete", **_CHANGE, openapi_extra=_STATE)
async def toggle_front_end_task(
    request: Request, caller: OwnCaller, task_id: UUID, body: FrontEndToggle | None = None
) -> Response:
    """Complete or reopen a task: toggle it, or set the state in the body or the query."""
    expected = read_if_match(request)
    wanted = _read_state(request, caller, set() if body is None else body.states)

    async def handler(work: UnitOfWork) -> StoredResponse:
        tasks = TaskService(work)
        task = await tasks.get_to_change(str(task_id), expected)
        done = not task["is_completed"] if wanted is None else wanted
        return _changed(await tasks.update(str(task_id), {"is_completed": done}))

    return await run_write(request, caller, handler, changes_existing=True)


def _read_state(request: Request, caller: Caller, said: set[bool]) -> bool | None:
    """Return the state in the body or the query, or None if it is in neither."""
    items = request.query_params.multi_items()
    given, sent = read_parameters(items, FrontEndState.model_fields, caller.user, is_write=True)
    try:
        asked = FrontEndState.model_validate(given)
    except ValidationError as error:
        names = [sent[str(item["loc"][0])] for item in error.errors(include_url=False)]
        raise refuse_state(names) from None
    by_word = None if asked.status is None else asked.status == "completed"
    states = said | ({asked.completed, by_word} - {None})
    if len(states) > 1:
        raise refuse_contradiction("query", list(sent.values()))
    return next(iter(states), None)


@router.delete("/{task_id}", response_model=FrontEndMessage, openapi_extra=IF_MATCH)
async def delete_front_end_task(request: Request, caller: OwnCaller, task_id: UUID) -> Response:
    """Delete a task and its subtasks."""
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        await TaskService(work).delete(str(task_id), expected)
        return StoredResponse(200, b'{"message":"Task deleted successfully"}')

    return await run_write(request, caller, handler, changes_existing=True)


async def _prepare(rules: RuleEvaluation, body: FrontEndCreate | FrontEndUpdate) -> None:
    fields: TaskChanges = {
        "title": body.title or "",
        "description": body.description,
        "recurrence": body.recurrence_pattern,
    }
    await rules.prepare(fields)


def _changed(stored: StoredDocument, code: int = 200) -> StoredResponse:
    return StoredResponse(code, render(parse_task(stored.body)), {"etag": etag_for(stored.version)})


def _refuse_page(most: int, limit: int, offset: str | None) -> ValidationFailedError:
    last = most if offset else most // limit + 1
    bound = f"at most {last}" if offset else f"at most {last} with this limit"
    message = f"{bound}; narrow the query, or use /api/v1/tasks"
    return field_error(offset or "page", message, place="query", code="too-far")
