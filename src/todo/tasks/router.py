"""HTTP for tasks. The unit of work ends, and commits, before the response is made."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from todo.auth.bearer import Subject
from todo.db import Database  # noqa: TC001 - FastAPI reads annotations
from todo.tasks.repository import TaskRepository
from todo.tasks.schemas import TaskCreate, TaskPage, TaskRead, TaskUpdate
from todo.tasks.service import TaskService

PATH = "/api/v1/tasks"
router = APIRouter(prefix=PATH, tags=["tasks"])


@contextlib.asynccontextmanager
async def _open_tasks(request: Request, *, read_only: bool = False) -> AsyncIterator[TaskService]:
    database: Database = request.app.state.database
    async with database.unit_of_work(read_only=read_only) as connection:
        yield TaskService(TaskRepository(connection))


@router.post("", status_code=status.HTTP_201_CREATED, response_model=TaskRead)
async def create_task(
    request: Request, response: Response, owner: Subject, body: TaskCreate
) -> object:
    """Create a task."""
    async with _open_tasks(request) as tasks:
        task = await tasks.create(owner, title=body.title, description=body.description)
    response.headers["Location"] = f"{PATH}/{task.id}"
    return task


@router.get("", response_model=TaskPage)
async def list_tasks(
    request: Request,
    owner: Subject,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    *,
    completed: bool | None = None,
) -> object:
    """List tasks, newest first."""
    async with _open_tasks(request, read_only=True) as tasks:
        return await tasks.list_page(owner, limit=limit, cursor=cursor, completed=completed)


@router.get("/{task_id}", response_model=TaskRead)
async def read_task(request: Request, owner: Subject, task_id: UUID) -> object:
    """Read a task."""
    async with _open_tasks(request, read_only=True) as tasks:
        return await tasks.get(owner, task_id)


@router.patch("/{task_id}", response_model=TaskRead)
async def update_task(request: Request, owner: Subject, task_id: UUID, body: TaskUpdate) -> object:
    """Change a task: absent fields stay as they are."""
    async with _open_tasks(request) as tasks:
        return await tasks.update(owner, task_id, body.model_dump(exclude_unset=True))


@router.post("/{task_id}/complete", response_model=TaskRead)
async def complete_task(request: Request, owner: Subject, task_id: UUID) -> object:
    """Complete a task; repeating it changes nothing."""
    async with _open_tasks(request) as tasks:
        return await tasks.complete(owner, task_id)


@router.delete("/{task_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_task(request: Request, owner: Subject, task_id: UUID) -> None:
    """Delete a task."""
    async with _open_tasks(request) as tasks:
        await tasks.delete(owner, task_id)
