"""List service: creates and changes lists and shares for HTTP and agents' tools.

A list belongs to its owner. Users with whom it is shared can see it, and change its tasks if the
share allows it. Only the owner can change the list itself and its shares.
"""

import time
from dataclasses import dataclass

from todo.core.domain import Access, ListChanges, NewList, Share, ShareAccess, Task, TaskList
from todo.core.errors import (
    ListNotEmptyError,
    NotFoundError,
    ReadOnlyError,
    StateConflictError,
    VersionMismatchError,
)
from todo.core.ids import new_uuid7
from todo.core.validation_errors import field_error
from todo.db.documents import StoredDocument, as_bytes, parse_list, parse_share, parse_task
from todo.lists.repository import MAX_SHARES, ListRepository
from todo.tasks.repository import MAX_SUBTREE
from todo.writes.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class LockedList:
    """List whose owner's account is locked, with the caller's `access`."""

    access: Access
    document: bytes
    task_list: TaskList


class ListService:
    """Creation, change, deletion and sharing of lists within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._caller = work.caller
        self._store = ListRepository(work.session, work.caller)

    async def create(self, fields: NewList, list_id: str | None = None) -> StoredDocument:
        """Store a new list of the caller, with a new ID by default, and return its document.

        Raises:
            ReadOnlyError: The token is restricted to one list.
        """
        if self._caller.list_id is not None:
            raise ReadOnlyError("This token is restricted to one list and cannot create lists.")
        position = fields.get("position")
        new: TaskList = {
            "id": list_id or str(new_uuid7()),
            "owner": self._caller.user,
            "name": fields["name"],
            # The current time sorts new lists after all others.
            "position": round(time.time(), 3) if position is None else position,
            "created_at": self._work.timestamp,
            "updated_at": self._work.timestamp,
            "version": 1,
        }
        _, (rows,) = await self._work.lock(self._caller.user, self._store.add(new))
        document = as_bytes(rows[0][0])
        self._record("create", new, None, document)
        return StoredDocument(new["id"], new["version"], document)

    async def update(
        self, list_id: str, changes: ListChanges, expected: frozenset[int] | None = None
    ) -> StoredDocument:
        """Change the given fields of a list and return its document.

        Raises:
            NotFoundError: The list does not exist, or the caller cannot see it.
            ReadOnlyError: The list belongs to another user.
            VersionMismatchError: The list's version is not one of `expected`.
        """
        found = await self._lock_own(list_id, expected)
        after: TaskList = {**found.task_list, **changes}
        document = found.document
        if after != found.task_list:
            after["version"] += 1
            after["updated_at"] = self._work.timestamp
            (rows,) = await self._work.session.run(self._store.change(after))
            document = as_bytes(rows[0][0])
            self._record("update", after, found.document, document)
        return StoredDocument(list_id, after["version"], document)

    async def delete(
        self, list_id: str, expected: frozenset[int] | None = None, *, with_tasks: bool = False
    ) -> None:
        """Delete a list and, if `with_tasks`, its tasks.

        Raises:
            ListNotEmptyError: The list has tasks, and `with_tasks` is false.
            StateConflictError: The list has more than MAX_SUBTREE tasks.
            ProblemError: The list cannot be changed; see `update`.
        """
        found = await self._lock_own(list_id, expected)
        tasks = await self._store.find_tasks(list_id)
        if tasks and not with_tasks:
            raise ListNotEmptyError
        if len(tasks) > MAX_SUBTREE:
            raise StateConflictError(
                f"The list has more than {MAX_SUBTREE} tasks; delete some of them first."
            )
        owner = found.task_list["owner"]
        # Undo runs in reverse order: it restores the list, its shares, parents, then subtasks.
        for task, document in _deepest_first(tasks):
            self._work.record(
                owner, "delete", "task", task["id"], list_id=list_id, before=document, after=None
            )
        for share in await self._store.find_shares(list_id):
            self._record_share(owner, "unshare", share, None)
        self._record("delete", found.task_list, found.document, None)
        await self._work.session.run(*self._store.remove(list_id))

    async def share(
        self, list_id: str, user: str, access: ShareAccess, expected: frozenset[int] | None = None
    ) -> bytes:
        """Share a list with a user, or change the user's access; return the share's document.

        `expected` contains the accepted versions of the owner's account; None accepts any.

        Raises:
            ValidationFailedError: The user is the owner.
            StateConflictError: The list is already shared with MAX_SHARES users.
            ProblemError: The list or account cannot be changed; see `update`.
        """
        owner = (await self._lock_own(list_id)).task_list["owner"]
        await self._require_version(owner, expected)
        if user == owner:
            raise field_error("user", "is the owner of the list", place="path")
        shares = await self._store.find_shares(list_id)
        before = next((each for each in shares if parse_share(each)["user_id"] == user), None)
        if before is not None and parse_share(before)["access"] == access:
            return before
        if before is None and len(shares) >= MAX_SHARES:
            raise StateConflictError(
                "The list is already shared with the maximum of "
                f"{MAX_SHARES} users; remove a share first."
            )
        new: Share = {
            "list_id": list_id,
            "user_id": user,
            "access": access,
            "created_at": self._work.timestamp,
        }
        (rows,) = await self._work.session.run(self._store.share(new))
        document = as_bytes(rows[0][0])
        self._record_share(owner, "share", before, document)
        return document

    async def unshare(
        self, list_id: str, user: str, expected: frozenset[int] | None = None
    ) -> None:
        """End a user's access to a list; all users may end their own access.

        `expected` contains the accepted versions of the owner's account; None accepts any.

        Raises:
            NotFoundError: The list or the share does not exist, or the caller cannot see it.
            ReadOnlyError: Neither the list nor the share belongs to the caller.
            VersionMismatchError: The account's version is not one of `expected`.
        """
        found = await self._lock(list_id)
        owner = found.task_list["owner"]
        if found.access != "owner" and user != self._caller.user:
            raise ReadOnlyError
        shares = await self._store.find_shares(list_id, user)
        if not shares:
            raise NotFoundError
        await self._require_version(owner, expected)
        await self._work.session.run(self._store.unshare(list_id, user))
        self._record_share(owner, "unshare", shares[0], None)

    async def _require_version(self, owner: str, expected: frozenset[int] | None) -> None:
        account, _ = await self._work.lock(owner)
        account.require_version(expected)

    async def _lock(self, list_id: str) -> LockedList:
        """Lock the account of a list's owner, and return the list."""
        owner = await self._store.find_owner(list_id)
        if owner is None:
            raise NotFoundError
        # Read after locking: before, others could still change the list.
        _, (rows,) = await self._work.lock(owner, self._store.find_to_write(list_id))
        if not rows:
            raise NotFoundError
        document, access = as_bytes(rows[0][0]), rows[0][1]
        return LockedList(access, document, parse_list(document))

    async def _lock_own(self, list_id: str, expected: frozenset[int] | None = None) -> LockedList:
        found = await self._lock(list_id)
        if found.access != "owner":
            raise ReadOnlyError("Only the owner of a list can change it.")
        if expected is not None and found.task_list["version"] not in expected:
            raise VersionMismatchError
        return found

    def _record(
        self, operation: str, task_list: TaskList, before: bytes | None, after: bytes | None
    ) -> None:
        list_id = task_list["id"]
        self._work.record(
            task_list["owner"],
            operation,
            "list",
            list_id,
            list_id=list_id,
            before=before,
            after=after,
        )

    def _record_share(
        self, owner: str, operation: str, before: bytes | None, after: bytes | None
    ) -> None:
        share = parse_share(after or before or b"")
        self._work.record(
            owner,
            operation,
            "share",
            share["user_id"],
            list_id=share["list_id"],
            before=before,
            after=after,
        )


def _deepest_first(documents: list[bytes]) -> list[tuple[Task, bytes]]:
    """Return the tasks of a list with their documents, subtasks before their parents."""
    tasks = [(parse_task(document), document) for document in documents]
    by_id: dict[str | None, Task] = {task["id"]: task for task, _ in tasks}

    def depth(task: Task) -> int:
        parent = by_id.get(task["parent_id"])
        return 0 if parent is None else depth(parent) + 1

    return sorted(tasks, key=lambda pair: (-depth(pair[0]), pair[0]["id"]))
