"""SQL statements for the tags of a user's own tasks."""

from typing import Any

from sqlalchemy import CompoundSelect, Select, bindparam, func, select
from sqlalchemy.sql.elements import ColumnElement

from todo.db.documents import as_bytes, select_document
from todo.db.session import Session
from todo.db.statement import BoundStatement, Statement
from todo.db.tables import task, task_tag

MAX_TASKS = 1000

_OWN = task_tag.c.owner == bindparam("owner")


def _names(*, after: bool) -> Select[Any]:
    """Return the statement that reads the next names with one index lookup each."""

    def least(*conditions: ColumnElement[bool]) -> Select[Any]:
        return select(func.min(task_tag.c.tag)).where(_OWN, *conditions)

    first = least(task_tag.c.tag > bindparam("after")) if after else least()
    found = select(first.scalar_subquery().label("tag")).cte("found", recursive=True)
    following: Select[Any] | CompoundSelect[Any] = select(
        least(task_tag.c.tag > found.c.tag).correlate(found).scalar_subquery()
    ).where(found.c.tag.is_not(None))
    found = found.union_all(following)
    return select(found.c.tag).where(found.c.tag.is_not(None)).limit(bindparam("limit"))


_FIRST_NAMES = Statement(_names(after=False))
_NEXT_NAMES = Statement(_names(after=True))


def _tagged(dialect: str) -> Select[Any]:
    source = task.join(task_tag, task_tag.c.task_id == task.c.id)
    chosen = (
        select(task)
        .select_from(source)
        .where(_OWN, task_tag.c.tag == bindparam("tag"))
        .order_by(task_tag.c.task_id)
        .limit(MAX_TASKS + 1)
        .subquery("t")
    )
    return select_document(dialect, chosen, lambda s: s)


_TAGGED = Statement(_tagged)


async def find_names(session: Session, owner: str, after: str | None, limit: int) -> list[str]:
    """Return up to `limit` names of an owner's tags after a name, in the database's text order."""
    values: dict[str, Any] = {"owner": owner, "limit": limit}
    if after is None:
        rows = await session.fetch(_FIRST_NAMES, values)
    else:
        rows = await session.fetch(_NEXT_NAMES, {**values, "after": after})
    return [row[0] for row in rows]


def find_tagged(owner: str, tag: str) -> BoundStatement:
    """Return the statement that reads up to MAX_TASKS + 1 tasks of a tag."""
    return (_TAGGED, {"owner": owner, "tag": tag})


def read_documents(rows: list[tuple[Any, ...]]) -> list[bytes]:
    """Return the documents in the result rows of `find_tagged`."""
    return [as_bytes(row[0]) for row in rows]
