"""Reconciliation: compares the stored tasks with their last state in the journal."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, String, Text, bindparam, case, cast, exists, func, select

from todo.db.documents import TASK_FIELDS, parse_task, select_document
from todo.db.session import Session
from todo.db.statement import Statement, follows
from todo.db.tables import journal, task

_PAGE = 500
MAX_NAMED = 100
"""Maximum number of missing tasks that are reported individually."""
_TIMES = {"due_at", "completed_at", "created_at", "updated_at"}
_CHANGES_STATE = (journal.c.kind == "task") & (journal.c.operation != "remind")


def _tasks(dialect: str) -> Select[Any]:
    """Return the statement that reads tasks and their last journaled states in one snapshot."""
    # SQLite stores IDs as text and needs no cast.
    task_id = task.c.id if dialect == "sqlite" else cast(task.c.id, String)
    said = (
        select(journal.c.after)
        .where(journal.c.owner == task.c.owner, journal.c.entity_id == task_id, _CHANGES_STATE)
        .order_by(journal.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    chosen = (task.c.owner == bindparam("owner")) & follows(task.c.id)
    return select_document(
        dialect,
        task,
        lambda s: s.where(chosen).order_by(task.c.id).limit(bindparam("limit")),
        TASK_FIELDS,
        [cast(said, Text)],
    )


_TASKS = Statement(_tasks)
# Number of stored tasks, and their number according to the journal.
_COUNTS = Statement(
    select(
        select(func.count())
        .select_from(task)
        .where(task.c.owner == bindparam("owner"))
        .scalar_subquery(),
        select(
            func.coalesce(
                func.sum(
                    case((journal.c.after.is_not(None), 1), else_=0)
                    - case((journal.c.before.is_not(None), 1), else_=0)
                ),
                0,
            )
        )
        .where(journal.c.owner == bindparam("owner"), _CHANGES_STATE)
        .scalar_subquery(),
    )
)


def _missing(dialect: str) -> Select[Any]:
    """Return the statement that reads the last entries of missing tasks."""
    task_id = task.c.id if dialect == "sqlite" else cast(task.c.id, String)
    later = journal.alias("later")
    is_last = ~exists().where(
        later.c.owner == journal.c.owner,
        later.c.entity_id == journal.c.entity_id,
        later.c.seq > journal.c.seq,
        (later.c.kind == "task") & (later.c.operation != "remind"),
    )
    is_there = exists().where(task.c.owner == journal.c.owner, task_id == journal.c.entity_id)
    left = (journal.c.owner == bindparam("owner")) & journal.c.after.is_not(None)
    return (
        select(journal.c.seq, journal.c.entity_id)
        .where(left, _CHANGES_STATE, is_last, ~is_there)
        .order_by(journal.c.seq)
        .limit(MAX_NAMED)
    )


_MISSING = Statement(_missing)


async def find_differences(session: Session, owner: str) -> AsyncIterator[tuple[int, str]]:
    """Yield the differences between an owner's tasks and the journal.

    Each has the number of a journal entry, or 0.
    """
    last: str | None = None
    while True:
        values = {"owner": owner, "after": last, "limit": _PAGE}
        rows = await session.fetch(_TASKS, values)
        for document, said in rows:
            found = parse_task(document)
            last = found["id"]
            if said is None:
                yield 0, f"the task {last} exists, but not in the journal"
                continue
            wrong = _compare(found, parse_task(said))
            if wrong:
                yield 0, f"the task {last} differs from the journal ({', '.join(wrong)})"
        if len(rows) < _PAGE:
            break
    there, said = (await session.fetch(_COUNTS, {"owner": owner}))[0]
    missing = int(said) - int(there)
    if missing > 0:
        for seq, task_id in await session.fetch(_MISSING, {"owner": owner}):
            yield int(seq), f"the task {task_id} of the journal does not exist"
    if missing > MAX_NAMED:
        yield 0, f"{missing} tasks of the journal do not exist"


def _compare(found: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    return [name for name in found if _read(name, found[name]) != _read(name, said.get(name))]


def _read(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Parse a time for comparison: the databases and a migration format times differently."""
    return datetime.fromisoformat(value) if name in _TIMES and value else value
