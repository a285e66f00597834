"""Storage quota: how many tasks, and how many bytes of tasks and lists, one account may hold.

The account's row counts both, in the statement that every write ends with, so a write pays nothing
for them. An account from before the counters is counted once, by its first write under a quota.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, update

from todo.core.errors import ProblemError
from todo.db.documents import LIST_FIELDS, TASK_FIELDS, select_document
from todo.db.session import Session
from todo.db.statement import BoundStatement, Statement, follows
from todo.db.tables import account, task, task_list

_CHUNK = 2000


def _documents(dialect: str, table: Any, fields: tuple[str, ...]) -> Select[Any]:  # noqa: ANN401
    mine = (table.c.owner == bindparam("owner")) & follows(table.c.id)
    return select_document(
        dialect,
        table,
        lambda s: s.where(mine).order_by(table.c.id).limit(_CHUNK),
        fields,
        [table.c.id],
    )


_TASKS = Statement(lambda dialect: _documents(dialect, task, TASK_FIELDS))
_LISTS = Statement(lambda dialect: _documents(dialect, task_list, LIST_FIELDS))
_STORE = Statement(
    update(account)
    .where(account.c.owner == bindparam("of"))
    .values(tasks=bindparam("tasks"), size=bindparam("size"))
)


class QuotaExceededError(ProblemError):
    """The account has reached its storage quota."""

    status = 403
    code = "quota-exceeded"

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"The account has reached its storage quota of {limit}; delete something first."
        )


@dataclass(slots=True)
class Stored:
    """The stored amount of an account, and by how much one write changes it.

    Attributes:
        tasks: Number of tasks; None while the account was never counted.
        size: Bytes of the JSON documents of tasks and lists; None likewise.
        more_tasks: Tasks that the write adds, less those that it removes.
        more_bytes: Bytes likewise, without what completing and reopening adds.
    """

    tasks: int | None
    size: int | None
    more_tasks: int = 0
    more_bytes: int = 0

    def count_change(
        self, operation: str, kind: str, before: bytes | None, after: bytes | None
    ) -> None:
        """Count one change of the account."""
        if (operation, kind) == ("delete", "account"):
            self.tasks = self.size = 0
        if operation == "remind" or kind not in {"task", "list"}:
            # The entry of a reminder shows a task that nothing changed.
            return
        grown = len(after or b"") - len(before or b"")
        added = (after is not None) - (before is not None) if kind == "task" else 0
        if self.tasks is not None and self.size is not None:
            self.tasks = max(0, self.tasks + added)
            self.size = max(0, self.size + grown)
        self.count_growth(operation, added, grown)

    def count_growth(self, operation: str, added: int, grown: int) -> None:
        """Count towards the quota what is in the counters already."""
        self.more_tasks += added
        if operation not in {"complete", "reopen"}:
            # Nobody must delete something to be able to complete a task.
            self.more_bytes += grown


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """The limits of each account, 0 for none."""

    tasks: int = 0
    size: int = 0

    async def check(self, session: Session, owner: str, stored: Stored) -> list[BoundStatement]:
        """Reject a write that makes an account exceed its quota.

        Args:
            session: Transaction of the write, after its changes.
            owner: Owner of the account.
            stored: Counters of the account, including the write; they are computed if the account
                was never counted.

        Returns:
            Statements that store the counters if they were computed here.

        Raises:
            QuotaExceededError: The account would exceed its quota.
        """
        if not (self.tasks and stored.more_tasks > 0) and not (self.size and stored.more_bytes > 0):
            return []
        calls: list[BoundStatement] = []
        if stored.tasks is None or stored.size is None:
            stored.tasks, stored.size = await count_stored(session, owner)
            calls.append((_STORE, {"of": owner, "tasks": stored.tasks, "size": stored.size}))
        if self.tasks and stored.more_tasks > 0 and stored.tasks > self.tasks:
            raise QuotaExceededError(f"{self.tasks} tasks")
        if self.size and stored.more_bytes > 0 and stored.size > self.size:
            raise QuotaExceededError(f"{self.size} bytes of tasks and lists")
        return calls


async def count_stored(session: Session, owner: str) -> tuple[int, int]:
    """Return the number of an account's tasks, and the bytes of its tasks and lists."""
    counts = []
    size = 0
    for statement in (_TASKS, _LISTS):
        count = 0
        after: str | None = None
        while rows := await session.fetch(statement, {"owner": owner, "after": after}):
            count += len(rows)
            size += sum(len(doc if isinstance(doc, bytes) else doc.encode()) for doc, _id in rows)
            after = str(rows[-1][1])
        counts.append(count)
    return counts[0], size
