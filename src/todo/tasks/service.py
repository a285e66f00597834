"""What may be done with tasks, whoever asks: HTTP today, other callers later."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from todo.errors import NotFoundError
from todo.ids import new_uuid7
from todo.tasks.cursor import decode_cursor, encode_cursor
from todo.tasks.repository import Task


class TaskStore(Protocol):
    """What the service needs of a repository."""

    async def add(self, new: Task) -> None: ...  # noqa: D102
    async def find(  # noqa: D102
        self, owner: str, task_id: UUID, *, lock: bool = False
    ) -> Task | None: ...
    async def find_page(  # noqa: D102
        self, owner: str, *, limit: int, before: UUID | None, completed: bool | None
    ) -> list[Task]: ...
    async def change(  # noqa: D102
        self, owner: str, task_id: UUID, values: dict[str, Any]
    ) -> Task | None: ...
    async def remove(self, owner: str, task_id: UUID) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Page:
    """Some tasks and the cursor of those that follow."""

    items: list[Task]
    next_cursor: str | None


def _now() -> datetime:
    return datetime.now(UTC)


class TaskService:
    """The rules for one owner's tasks."""

    def __init__(self, store: TaskStore, clock: Callable[[], datetime] = _now) -> None:
        self._store = store
        self._clock = clock

    async def create(self, owner: str, *, title: str, description: str | None) -> Task:
        """Store a new task."""
        now = self._clock()
        new = Task(
            id=new_uuid7(),
            owner=owner,
            title=title,
            description=description,
            completed_at=None,
            created_at=now,
            updated_at=now,
        )
        await self._store.add(new)
        return new

    async def get(self, owner: str, task_id: UUID) -> Task:
        """Return one task.

        Raises:
            NotFoundError: There is none, or it is another's: the answers are the same.
        """
        return _require(await self._store.find(owner, task_id))

    async def list_page(
        self, owner: str, *, limit: int, cursor: str | None, completed: bool | None
    ) -> Page:
        """Return a page, newest first.

        Args:
            owner: Whose tasks.
            limit: Most tasks on the page.
            cursor: `next_cursor` of the page before, None for the first.
            completed: Only completed ones, only open ones, or None for both.

        Raises:
            ValidationFailedError: The cursor is none of ours.
        """
        before = None if cursor is None else decode_cursor(cursor)
        # One more than asked for tells whether another page follows.
        found = await self._store.find_page(
            owner, limit=limit + 1, before=before, completed=completed
        )
        items = found[:limit]
        return Page(items, encode_cursor(items[-1].id) if len(found) > limit else None)

    async def update(self, owner: str, task_id: UUID, changes: dict[str, Any]) -> Task:
        """Change what is given: `title`, `description`, `is_completed`.

        Raises:
            NotFoundError: As `get`.
        """
        current = _require(await self._store.find(owner, task_id, lock=True))
        values: dict[str, Any] = {
            name: changes[name] for name in ("title", "description") if name in changes
        }
        now = self._clock()
        if "is_completed" in changes and changes["is_completed"] != current.is_completed:
            values["completed_at"] = now if changes["is_completed"] else None
        if not values:
            return current
        return _require(await self._store.change(owner, task_id, values | {"updated_at": now}))

    async def complete(self, owner: str, task_id: UUID) -> Task:
        """Mark a task as done; once done, nothing changes.

        Raises:
            NotFoundError: As `get`.
        """
        return await self.update(owner, task_id, {"is_completed": True})

    async def delete(self, owner: str, task_id: UUID) -> None:
        """Delete a task.

        Raises:
            NotFoundError: As `get`.
        """
        if not await self._store.remove(owner, task_id):
            raise NotFoundError


def _require(found: Task | None) -> Task:
    if found is None:
        raise NotFoundError
    return found
