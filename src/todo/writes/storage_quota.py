"""Storage quota: limits on the tasks of an account, and on the bytes of its tasks and lists.

The account's row counts both. The last statement of every write updates it anyway, so the counters
cost nothing. An account that predates the counters is counted by its first write under a quota.
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
    """Storage use of an account, and its growth by one write.

    Attributes:
        tasks: Number of tasks; None if the account was never counted.
        size: Bytes of the JSON documents of tasks and lists; None if never counted.
        more_tasks: Net number of tasks that the write adds.
        more_bytes: Net bytes that the write adds, except by completing and reopening.
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
            # The entry of a reminder contains a task that did not change.
            return
        grown = len(after or b"") - len(before or b"")
        added = (after is not None) - (before is not None) if kind == "task" else 0
        if self.tasks is not None and self.size is not None:
            self.tasks = max(0, self.tasks + added)
            self.size = max(0, self.size + grown)
        self.count_growth(operation, added, grown)

    def count_growth(self, operation: str, added: int, grown: int) -> None:
        """Count the growth by a change that the counters already include."""
        self.more_tasks += added
        if operation not in {"complete", "reopen"}:
            # Completing a task must be possible at the limit, too.
            self.more_bytes += grown


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """Limits of each account: number of tasks, and bytes of tasks and lists; 0 for no limit."""

    tasks: int = 0
    size: int = 0

    async def check(self, session: Session, owner: str, stored: Stored) -> list[BoundStatement]:
        """Reject a write that makes an account exceed its quota.

        The counters in `stored` include the write. If the account was never counted, they are
        computed here, and the returned statements store them.

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
