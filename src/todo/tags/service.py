"""Tag service: renames and deletes tags, with a journal entry for each changed task."""

from typing import TYPE_CHECKING

from todo.core.domain import Task
from todo.core.errors import NotFoundError, ReadOnlyError, StateConflictError
from todo.db.documents import as_bytes, parse_task
from todo.tags.repository import MAX_TASKS, find_tagged, read_documents
from todo.tasks.repository import TaskRepository
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.db.statement import BoundStatement

# Number of tasks per round trip; a larger number would block the event loop for too long.
_AT_ONCE = 50


class TagService:
    """Renaming and deletion of tags within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._store = TaskRepository(work.session, work.caller)

    async def rename(self, tag: str, name: str, expected: frozenset[int] | None = None) -> int:
        """Rename a tag to `name`; return the number of changed tasks.

        Raises:
            VersionMismatchError: The account's version is not one of `expected`, if given.
            NotFoundError: No task of the caller has the tag.
            ReadOnlyError: The token is restricted to one list.
            StateConflictError: More than MAX_TASKS tasks have the tag.
        """
        return await self._replace(tag, name, expected)

    async def delete(self, tag: str, expected: frozenset[int] | None = None) -> int:
        """Remove a tag from all tasks and return their number; raises the errors of `rename`."""
        return await self._replace(tag, None, expected)

    async def _replace(self, tag: str, name: str | None, expected: frozenset[int] | None) -> int:
        caller = self._work.caller
        if caller.list_id is not None:
            raise ReadOnlyError(
                "This token is restricted to one list; tags belong to the whole account."
            )
        account, (rows,) = await self._work.lock(caller.user, find_tagged(caller.user, tag))
        if not rows:
            raise NotFoundError
        account.require_version(expected)
        if len(rows) > MAX_TASKS:
            raise StateConflictError(
                f"More than {MAX_TASKS} tasks have this tag. Change some of them first, for "
                "example with GET /api/v1/tasks?tag=… and POST /api/v1/tasks/batch."
            )
        if name == tag:
            return 0
        documents = read_documents(rows)
        for start in range(0, len(documents), _AT_ONCE):
            await self._change(documents[start : start + _AT_ONCE], tag, name)
        return len(documents)

    async def _change(self, documents: list[bytes], tag: str, name: str | None) -> None:
        calls: list[BoundStatement] = []
        changes: list[tuple[bytes, Task, int]] = []
        for document in documents:
            before = parse_task(document)
            task = self._retag(before, tag, name)
            changes.append((document, task, len(calls)))
            calls += self._store.change(before, task)
        results = await self._work.session.run(*calls)
        for document, task, index in changes:
            self._work.record(
                task["owner"],
                "update",
                "task",
                task["id"],
                list_id=task["list_id"],
                before=document,
                after=as_bytes(results[index][0][0]),
            )

    def _retag(self, before: Task, tag: str, name: str | None) -> Task:
        tags = [name if each == tag else each for each in before["tags"]]
        return before | {
            "tags": [each for each in dict.fromkeys(tags) if each is not None],
            "version": before["version"] + 1,
            "updated_at": self._work.timestamp,
        }
