"""Queries over the table of tasks; every one is bound to an owner."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, insert, select, update

from todo.connection import AsyncConnection
from todo.models import task


@dataclass(frozen=True, slots=True)
class Task:
    """One stored task."""

    id: UUID
    owner: str
    title: str
    description: str | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_completed(self) -> bool:
        """Whether it is done."""
        return self.completed_at is not None


class TaskRepository:
    """The tasks of every owner, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, new: Task) -> None:
        """Store a new task."""
        values = {column.name: getattr(new, column.name) for column in task.columns}
        await self._connection.execute(insert(task).values(values))

    async def find(self, owner: str, task_id: UUID, *, lock: bool = False) -> Task | None:
        """Return the owner's task with this id; `lock` keeps it until the transaction ends."""
        statement = select(task).where(task.c.id == task_id, task.c.owner == owner)
        if lock:
            statement = statement.with_for_update()
        return _to_task((await self._connection.execute(statement)).mappings().one_or_none())

    async def find_page(
        self, owner: str, *, limit: int, before: UUID | None, completed: bool | None
    ) -> list[Task]:
        """Return up to `limit` tasks, newest first, older than `before`."""
        statement = (
            select(task).where(task.c.owner == owner).order_by(task.c.id.desc()).limit(limit)
        )
        if before is not None:
            statement = statement.where(task.c.id < before)
        if completed is not None:
            done = task.c.completed_at.is_not(None)
            statement = statement.where(done if completed else ~done)
        rows = await self._connection.execute(statement)
        return [Task(**row) for row in rows.mappings()]

    async def change(self, owner: str, task_id: UUID, values: dict[str, Any]) -> Task | None:
        """Set columns of the owner's task and return it as it is afterwards."""
        statement = (
            update(task)
            .where(task.c.id == task_id, task.c.owner == owner)
            .values(values)
            .returning(task)
        )
        return _to_task((await self._connection.execute(statement)).mappings().one_or_none())

    async def remove(self, owner: str, task_id: UUID) -> bool:
        """Delete the owner's task; return whether there was one."""
        statement = delete(task).where(task.c.id == task_id, task.c.owner == owner)
        return (await self._connection.execute(statement)).rowcount == 1


def _to_task(row: RowMapping | None) -> Task | None:
    return None if row is None else Task(**row)
