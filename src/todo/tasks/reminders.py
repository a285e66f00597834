"""Reminder delivery: each due reminder becomes an entry in its owner's journal, and so an event.

Every process looks for due reminders. It locks the owner's account before it deletes them, so only
one process delivers each. Reminders that became due while no process ran are delivered late, once.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from sqlalchemy import Select, bindparam, delete, func, select

from todo.core.caller import Caller
from todo.core.errors import DatabaseBusyError, UnavailableError
from todo.core.timestamps import format_timestamp
from todo.db.documents import as_bytes, parse_task, select_document
from todo.db.errors import ConflictError
from todo.db.pool_admission import AccountBusyError
from todo.db.session import Session
from todo.db.statement import Statement, unnest_json
from todo.db.tables import Id, Time, reminder, task
from todo.writes.unit_of_work import UnitOfWork

AGENT = "reminders"
"""Agent name of reminders in the journal."""

BATCH = 500
_MAX_WAIT_S = 5.0
_MIN_WAIT_S = 0.05

_now = bindparam("now", type_=Time)
_DUE = Statement(
    select(reminder.c.owner, reminder.c.task_id)
    .where(reminder.c.fire_at <= _now)
    .order_by(reminder.c.fire_at)
    .limit(BATCH)
)
_NEXT = Statement(select(func.min(reminder.c.fire_at)))
_TAKE = Statement(
    lambda dialect: (
        delete(reminder)
        .where(reminder.c.task_id.in_(unnest_json(dialect, "ids", Id)), reminder.c.fire_at <= _now)
        .returning(reminder.c.task_id)
    )
)


def _open_tasks(dialect: str) -> Select[Any]:
    wanted = task.c.id.in_(unnest_json(dialect, "ids", Id)) & task.c.completed_at.is_(None)
    return select_document(dialect, task, lambda s: s.where(wanted).order_by(task.c.id))


_OPEN_TASKS = Statement(_open_tasks)
_log = logging.getLogger("todo.tasks.reminders")


class ReminderSource(Protocol):
    """Source of tasks, such as `todo.db.database.Database`."""

    def reading(self) -> AbstractAsyncContextManager[Session]: ...  # noqa: D102
    def unit_of_work(self) -> AbstractAsyncContextManager[Session]: ...  # noqa: D102


class Reminders:
    """Delivery of due reminders; one instance per process.

    `notify` wakes the followers of the given owners' journals; `count` adds a number of journal
    entries to the metric of an operation.
    """

    def __init__(
        self,
        source: ReminderSource,
        notify: Callable[[Iterable[str]], None],
        count: Callable[[str, int], None],
    ) -> None:
        self._source = source
        self._notify = notify
        self._count = count

    async def run(self) -> None:
        """Deliver due reminders until canceled."""
        while True:
            wait_s = _MAX_WAIT_S
            try:
                wait_s = await self._deliver_and_look()
            except (UnavailableError, ConflictError):
                # The reminders are still stored when the database is available again.
                pass
            except Exception:  # noqa: BLE001 - the loop must survive any error
                _log.exception("cannot deliver reminders")
            await asyncio.sleep(wait_s)

    async def _deliver_and_look(self) -> float:
        """Deliver due reminders and return the time to wait for the next one, in seconds."""
        now = datetime.now(UTC)
        if await self.deliver(now) == BATCH:
            return _MIN_WAIT_S
        async with self._source.reading() as session:
            row = await session.find(_NEXT, {})
        if row is None or row[0] is None:
            return _MAX_WAIT_S
        # SQLite returns times as text.
        following = datetime.fromisoformat(row[0]) if isinstance(row[0], str) else row[0]
        wait_s = (following - datetime.now(UTC)).total_seconds()
        return min(_MAX_WAIT_S, max(_MIN_WAIT_S, wait_s))

    async def deliver(self, now: datetime) -> int:
        """Deliver up to BATCH due reminders and return their number."""
        at = format_timestamp(now)
        async with self._source.reading() as session:
            rows = await session.fetch(_DUE, {"now": at})
        owners: dict[str, list[str]] = defaultdict(list)
        for owner, task_id in rows:
            owners[owner].append(str(task_id))
        for owner, ids in owners.items():
            # A locked account must not delay the reminders of other accounts.
            with contextlib.suppress(DatabaseBusyError, ConflictError, AccountBusyError):
                await self._deliver_to(owner, ids, at)
        return len(rows)

    async def _deliver_to(self, owner: str, ids: list[str], at: str) -> None:
        async with self._source.unit_of_work() as session:
            work = UnitOfWork(session, Caller(owner, agent=AGENT))
            take = (_TAKE, {"ids": orjson.dumps(ids).decode(), "now": at})
            _, (taken,) = await work.lock(owner, take)
            if not taken:
                # Another process has already delivered them.
                return
            reminded = orjson.dumps(sorted({str(row[0]) for row in taken})).decode()
            for (document,) in await session.fetch(_OPEN_TASKS, {"ids": reminded}):
                open_task = parse_task(document)
                work.record(
                    owner,
                    "remind",
                    "task",
                    open_task["id"],
                    list_id=open_task["list_id"],
                    after=as_bytes(document),
                )
            await work.commit()
        self._notify(work.changed)
        self._count("remind", len(work.operations))
