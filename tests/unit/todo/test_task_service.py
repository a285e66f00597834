import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest

from todo.errors import NotFoundError
from todo.tasks.repository import Task
from todo.tasks.service import TaskService

T = TypeVar("T")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeStore:
    """Tasks in a dictionary."""

    def __init__(self) -> None:
        self.tasks: dict[UUID, Task] = {}

    async def add(self, new: Task) -> None:
        self.tasks[new.id] = new

    async def find(self, owner: str, task_id: UUID, *, lock: bool = False) -> Task | None:
        del lock
        found = self.tasks.get(task_id)
        return found if found and found.owner == owner else None

    async def find_page(
        self, owner: str, *, limit: int, before: UUID | None, completed: bool | None
    ) -> list[Task]:
        found = [
            task
            for task in self.tasks.values()
            if task.owner == owner
            and (before is None or task.id < before)
            and completed in {None, task.is_completed}
        ]
        return sorted(found, key=lambda task: task.id, reverse=True)[:limit]

    async def change(self, owner: str, task_id: UUID, values: dict[str, Any]) -> Task | None:
        found = await self.find(owner, task_id)
        if found:
            self.tasks[task_id] = replace(found, **values)
        return self.tasks.get(task_id) if found else None

    async def remove(self, owner: str, task_id: UUID) -> bool:
        found = await self.find(owner, task_id)
        return found is not None and bool(self.tasks.pop(task_id))


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tasks(clock: Clock) -> TaskService:
    return TaskService(FakeStore(), clock)


def run(call: Awaitable[T]) -> T:
    async def wait() -> T:
        return await call

    return asyncio.run(wait())


def create(tasks: TaskService, owner: str = "alice") -> Task:
    return run(tasks.create(owner, title="t", description="d"))


def test_a_new_task_is_open_and_dated(tasks: TaskService) -> None:
    task = create(tasks)

    assert (task.owner, task.title, task.description) == ("alice", "t", "d")
    assert (task.is_completed, task.created_at, task.updated_at) == (False, NOON, NOON)


def test_completing_keeps_the_first_time(tasks: TaskService, clock: Clock) -> None:
    task = create(tasks)
    first = run(tasks.complete("alice", task.id))
    clock.now += timedelta(hours=1)
    second = run(tasks.complete("alice", task.id))

    assert first.completed_at == NOON
    assert second == first


def test_changing_nothing_leaves_the_date(tasks: TaskService, clock: Clock) -> None:
    task = create(tasks)
    clock.now += timedelta(hours=1)

    assert run(tasks.update("alice", task.id, {})) == task
    assert run(tasks.update("alice", task.id, {"title": "u"})).updated_at == clock.now


def test_pages_follow_each_other(tasks: TaskService) -> None:
    ids = [create(tasks).id for _ in range(5)]
    create(tasks, "bob")
    seen: list[UUID] = []
    cursor = None
    for _ in range(3):
        page = run(tasks.list_page("alice", limit=2, cursor=cursor, completed=None))
        seen += [task.id for task in page.items]
        cursor = page.next_cursor

    assert cursor is None
    assert sorted(seen, reverse=True) == seen
    assert set(seen) == set(ids)


def test_anothers_task_does_not_exist(tasks: TaskService) -> None:
    task = create(tasks)
    calls = [
        tasks.get("bob", task.id),
        tasks.update("bob", task.id, {"title": "mine"}),
        tasks.complete("bob", task.id),
        tasks.delete("bob", task.id),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            run(call)

    assert run(tasks.get("alice", task.id)) == task
