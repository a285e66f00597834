"""HTTP routes of tasks."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from todo.api.conditional import IF_MATCH, etag_for, read_if_match
from todo.api.query import describe_query, read_query
from todo.api.responses import StoredResponse, declare_headers, json_response
from todo.api.schemas import to_json_dict
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep
from todo.auth.route import ApiRoute
from todo.core.errors import NotFoundError, PreconditionRequiredError, ValidationFailedError
from todo.db.documents import TASK_FIELDS, StoredDocument
from todo.tasks import query as tasks_query
from todo.tasks.batch import Operation, prepare_batch, run_batch
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.repository import TaskRepository
from todo.tasks.schemas import (
    FIELDS_DESCRIPTION,
    Batch,
    BatchResults,
    TaskCreate,
    TaskPage,
    TaskPart,
    TaskQuery,
    TaskRead,
    TaskUpdate,
)
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.core.domain import NewTask, TaskChanges

PATH = "/api/v1/tasks"
router = APIRouter(prefix=PATH, tags=["tasks"], route_class=ApiRoute)
_TAGGED: dict[int | str, dict[str, Any]] = {200: declare_headers("ETag")}

Fields = Annotated[str | None, Query(max_length=400, description=FIELDS_DESCRIPTION)]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=TaskRead,
    responses={201: declare_headers("ETag", "Location")},
)
async def create_task(request: Request, caller: CallerDep, body: TaskCreate) -> Response:
    """Create a task, on its own, in a list or below another task."""
    fields: NewTask = to_json_dict(body)
    rules = RuleEvaluation()
    await rules.prepare(fields)

    async def handler(work: UnitOfWork) -> StoredResponse:
        return created(await TaskService(work, rules).create(fields))

    return await run_write(request, caller, handler, changes_existing=False)


@router.get("", response_model=TaskPage, openapi_extra=describe_query(TaskQuery))
async def list_tasks(request: Request, caller: CallerDep) -> Response:
    """List tasks, newest first by default.

    A page may be short or empty although there are more tasks: continue until `next_cursor` is
    null.
    """
    asked = read_query(request, TaskQuery)
    query = tasks_query.Query(
        status=asked.status,
        priority=asked.priority,
        tags=tuple(dict.fromkeys(asked.tag)),
        list_id=None if asked.list is None else str(asked.list),
        parent_id=None if asked.parent is None else str(asked.parent),
        due=asked.due,
        due_from=asked.due_from,
        due_to=asked.due_to,
        updated_since=asked.updated_since,
        search=asked.q,
        sort=asked.sort,
        descending=None if asked.order is None else asked.order == "desc",
        limit=asked.limit,
        cursor=asked.cursor,
        fields=_read_fields(asked.fields),
    )
    async with get_state(request).database.reading(caller.user) as session:
        page = await tasks_query.read_page(session, caller, query, datetime.now(UTC))
    return json_response(request, page.render())


@router.post("/batch", response_model=BatchResults)
async def change_tasks(request: Request, caller: CallerDep, body: Batch) -> Response:
    """Run up to 100 operations on tasks, in order, in one transaction.

    If an operation fails, nothing changes and `errors` names every operation that failed.
    """
    operations: list[Operation] = [to_json_dict(operation) for operation in body.operations]
    if any(operation["op"] == "delete" for operation in operations):
        caller.require("delete")
    if caller.require_match and any(map(_is_unconditional, operations)):
        raise PreconditionRequiredError(
            "This token requires `if_match` in every operation that changes a task."
        )
    rules = RuleEvaluation()
    await prepare_batch(rules, [each["task"] for each in operations if "task" in each])

    async def handler(work: UnitOfWork) -> StoredResponse:
        return StoredResponse(200, await run_batch(TaskService(work, rules), operations))

    return await run_write(request, caller, handler, changes_existing=False)


@router.get("/{task_id}", response_model=TaskPart)
async def read_task(
    request: Request, caller: CallerDep, task_id: UUID, fields: Fields = None
) -> Response:
    """Return a task, or some of its fields."""
    wanted = _read_fields(fields)
    async with get_state(request).database.reading(caller.user) as session:
        stored = await TaskRepository(session, caller).find(str(task_id), wanted)
    if stored is None:
        raise NotFoundError
    # The entity tag of a partial task is a hash of its body.
    tag = etag_for(stored.version) if wanted == TASK_FIELDS else None
    return json_response(request, stored.body, tag)


@router.patch("/{task_id}", response_model=TaskRead, responses=_TAGGED, openapi_extra=IF_MATCH)
async def update_task(
    request: Request, caller: CallerDep, task_id: UUID, body: TaskUpdate
) -> Response:
    """Change a task. Absent fields keep their value."""
    changes: TaskChanges = to_json_dict(body)
    expected, rules = read_if_match(request), RuleEvaluation()
    await rules.prepare(changes)

    async def handler(work: UnitOfWork) -> StoredResponse:
        return changed(await TaskService(work, rules).update(str(task_id), changes, expected))

    return await run_write(request, caller, handler, changes_existing=True)


@router.post(
    "/{task_id}/complete", response_model=TaskRead, responses=_TAGGED, openapi_extra=IF_MATCH
)
async def complete_task(request: Request, caller: CallerDep, task_id: UUID) -> Response:
    """Complete a task. If the task repeats, its next occurrence is created.

    Completing a completed task changes nothing.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        return changed(await TaskService(work).complete(str(task_id), expected))

    return await run_write(request, caller, handler, changes_existing=True)


@router.post(
    "/{task_id}/reopen", response_model=TaskRead, responses=_TAGGED, openapi_extra=IF_MATCH
)
async def reopen_task(request: Request, caller: CallerDep, task_id: UUID) -> Response:
    """Reopen a completed task. If the task repeats, its next occurrence is kept.

    Reopening an open task changes nothing.
    """
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        return changed(await TaskService(work).reopen(str(task_id), expected))

    return await run_write(request, caller, handler, changes_existing=True)


@router.delete("/{task_id}", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=IF_MATCH)
async def delete_task(request: Request, caller: CallerDep, task_id: UUID) -> Response:
    """Delete a task and its subtasks."""
    expected = read_if_match(request)

    async def handler(work: UnitOfWork) -> StoredResponse:
        await TaskService(work).delete(str(task_id), expected)
        return StoredResponse(204)

    return await run_write(request, caller, handler, changes_existing=True)


def changed(stored: StoredDocument) -> StoredResponse:
    """Return the response to a change, with the current task."""
    return StoredResponse(200, stored.body, {"etag": etag_for(stored.version)})


def created(stored: StoredDocument) -> StoredResponse:
    """Return the response to a creation, with the new task and its URL."""
    headers = {"etag": etag_for(stored.version), "location": f"{PATH}/{stored.id}"}
    return StoredResponse(201, stored.body, headers)


def _is_unconditional(operation: Operation) -> bool:
    return operation["op"] != "create" and operation.get("if_match") is None


def _read_fields(fields: str | None) -> tuple[str, ...]:
    if fields is None:
        return TASK_FIELDS
    wanted = {name.strip() for name in fields.split(",")}
    if unknown := wanted - set(TASK_FIELDS):
        name = min(unknown)[:40]
        error = {
            "in": "query",
            "field": "fields",
            "code": "invalid",
            "message": f'"{name}" is not a field of a task; use {", ".join(TASK_FIELDS)}',
        }
        raise ValidationFailedError(errors=[error])
    # In a fixed order, so that the same fields share one cached statement.
    return tuple(name for name in TASK_FIELDS if name in wanted)
