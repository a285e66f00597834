"""List service: the rules for lists and shares, for all kinds of callers.

A list belongs to its owner. Users with whom it is shared see it, and change its tasks if the share
allows it. Only the owner changes the list itself and its shares.
"""

import time
from typing import Any

from todo.core.errors import (
    ListNotEmptyError,
    NotFoundError,
    ReadOnlyError,
    StateConflictError,
    VersionMismatchError,
)
from todo.core.ids import new_uuid7
from todo.core.validation_errors import field_error
from todo.lists.repository import MAX_SHARES, ListRepository
from todo.tasks.document import Document, as_bytes, parse_document
from todo.tasks.repository import MAX_SUBTREE
from todo.writes.unit_of_work import UnitOfWork


class ListService:
    """The rules for lists, within one write."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._caller = work.caller
        self._store = ListRepository(work.session, work.caller)

    async def create(self, fields: dict[str, Any], list_id: str | None = None) -> bytes:
        """Store a new list of the caller and return its document.

        Args:
            fields: Of `ListCreate`.
            list_id: Its id, if it has one already.

        Raises:
            ReadOnlyError: The token is for one list.
        """
        if self._caller.list_id is not None:
            raise ReadOnlyError("This token is restricted to one list and cannot create lists.")
        position = fields.get("position")
        document: Document = {
            "id": list_id or str(new_uuid7()),
            "owner": self._caller.user,
            "name": fields["name"],
            # After all others: new ones are later.
            "position": round(time.time(), 3) if position is None else position,
            "created_at": self._work.timestamp,
            "updated_at": self._work.timestamp,
            "version": 1,
        }
        _, (rows,) = await self._work.lock(self._caller.user, self._store.add(document))
        text = as_bytes(rows[0][0])
        self._record("create", document, None, text)
        return text

    async def update(
        self, list_id: str, changes: dict[str, Any], expected: frozenset[int] | None = None
    ) -> bytes:
        """Change the fields that are given; return the list's document.

        Raises:
            NotFoundError: There is no such list, or the caller does not see it.
            ReadOnlyError: It is another's.
            VersionMismatchError: It has none of the expected versions.
        """
        before = await self._lock_own(list_id, expected)
        found = parse_document(before)
        document = found | changes
        if document == found:
            return before
        document["version"] += 1
        document["updated_at"] = self._work.timestamp
        (rows,) = await self._work.session.run(self._store.change(document))
        text = as_bytes(rows[0][0])
        self._record("update", document, before, text)
        return text

    async def delete(
        self, list_id: str, expected: frozenset[int] | None = None, *, with_tasks: bool = False
    ) -> None:
        """Delete a list, with its tasks where that is asked for.

        Raises:
            ListNotEmptyError: There are tasks, and nothing was said about them.
            StateConflictError: There are more than MAX_SUBTREE.
            ProblemError: As `update`.
        """
        before = await self._lock_own(list_id, expected)
        tasks = await self._store.find_tasks(list_id)
        if tasks and not with_tasks:
            raise ListNotEmptyError
        if len(tasks) > MAX_SUBTREE:
            raise StateConflictError(
                f"The list has more than {MAX_SUBTREE} tasks; delete some of them first."
            )
        document = parse_document(before)
        owner = document["owner"]
        # In reverse order each finds its place again: the list, its shares, parents, children.
        for task, text in _deepest_first(tasks):
            self._work.record(
                owner, "delete", "task", task["id"], list_id=list_id, before=text, after=None
            )
        for share in await self._store.find_shares(list_id):
            self._record_share(owner, "unshare", share, None)
        self._record("delete", document, before, None)
        await self._work.session.run(*self._store.remove(list_id))

    async def share(
        self, list_id: str, user: str, access: str, expected: frozenset[int] | None = None
    ) -> bytes:
        """Let a user see a list, or also change its tasks; return the share's document.

        Args:
            list_id: Which list.
            user: With whom it is shared.
            access: What that user may do.
            expected: Versions of the owner's account, of which it must have one; None for any.

        Raises:
            ValidationFailedError: The user is the owner.
            StateConflictError: It is shared with MAX_SHARES others.
            ProblemError: As `update`.
        """
        owner = parse_document(await self._lock_own(list_id))["owner"]
        await self._require_version(owner, expected)
        if user == owner:
            raise field_error("user", "is the owner of the list", place="path")
        shares = await self._store.find_shares(list_id)
        before = next((each for each in shares if parse_document(each)["user_id"] == user), None)
        if before is not None and parse_document(before)["access"] == access:
            return before
        if before is None and len(shares) >= MAX_SHARES:
            raise StateConflictError(
                "The list is already shared with the maximum of "
                f"{MAX_SHARES} users; remove a share first."
            )
        values = {
            "list_id": list_id,
            "user_id": user,
            "access": access,
            "created_at": self._work.timestamp,
        }
        (rows,) = await self._work.session.run(self._store.share(values))
        text = as_bytes(rows[0][0])
        self._record_share(owner, "share", before, text)
        return text

    async def unshare(
        self, list_id: str, user: str, expected: frozenset[int] | None = None
    ) -> None:
        """Take a list away from a user; everybody may do that for themselves.

        Args:
            list_id: Which list.
            user: With whom it is shared no longer.
            expected: As `share`.

        Raises:
            NotFoundError: There is no such list or share, or the caller does not see it.
            ReadOnlyError: Neither the list nor the share is the caller's.
            VersionMismatchError: The owner's account has none of the expected versions.
        """
        document, access = await self._lock(list_id)
        owner = parse_document(document)["owner"]
        if access != "owner" and user != self._caller.user:
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

    async def _lock(self, list_id: str) -> tuple[bytes, str]:
        """Lock the account of a list's owner; return its document and the caller's access to it."""
        find = self._store.find(list_id)
        (rows,) = await self._work.session.run(find)
        if not rows:
            raise NotFoundError
        # Read again: until now, others could change it.
        owner = parse_document(as_bytes(rows[0][0]))["owner"]
        _, (rows,) = await self._work.lock(owner, find)
        if not rows:
            raise NotFoundError
        return as_bytes(rows[0][0]), rows[0][1]

    async def _lock_own(self, list_id: str, expected: frozenset[int] | None = None) -> bytes:
        document, access = await self._lock(list_id)
        if access != "owner":
            raise ReadOnlyError("Only the owner of a list can change it.")
        if expected is not None and parse_document(document)["version"] not in expected:
            raise VersionMismatchError
        return document

    def _record(
        self, operation: str, document: Document, before: bytes | None, after: bytes | None
    ) -> None:
        of_list = document["id"]
        self._work.record(
            document["owner"],
            operation,
            "list",
            of_list,
            list_id=of_list,
            before=before,
            after=after,
        )

    def _record_share(
        self, owner: str, operation: str, before: bytes | None, after: bytes | None
    ) -> None:
        document = parse_document(after or before or b"")
        self._work.record(
            owner,
            operation,
            "share",
            document["user_id"],
            list_id=document["list_id"],
            before=before,
            after=after,
        )


def _deepest_first(texts: list[bytes]) -> list[tuple[Document, bytes]]:
    """Return the tasks of a list, those below before those above."""
    tasks = {
        document["id"]: (document, text) for text in texts for document in [parse_document(text)]
    }

    def depth(document: Document) -> int:
        parent = tasks.get(document["parent_id"])
        return 0 if parent is None else depth(parent[0]) + 1

    return sorted(tasks.values(), key=lambda task: (-depth(task[0]), task[0]["id"]))
