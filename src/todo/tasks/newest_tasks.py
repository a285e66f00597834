"""Newest open tasks of several lists, in one statement."""

from collections.abc import Sequence

import orjson

from todo.db.documents import as_bytes
from todo.db.session import Session
from todo.tasks.page_sql import SCAN_BUDGET, newest_statement
from todo.tasks.visible_lists import VisibleList

_BUDGET = 5000
"""Rows that are read of all lists together."""


async def fetch_newest(
    session: Session, lists: Sequence[VisibleList], limit: int, fields: tuple[str, ...]
) -> list[bytes]:
    """Return the documents of open tasks, newest first.

    Open tasks that are older than many completed ones of their list are left out.

    Args:
        session: Runs the statement.
        lists: The lists, which the caller sees.
        limit: Maximum number of tasks of each list.
        fields: Keys of the documents.
    """
    if not lists:
        return []
    values = {
        "lists": orjson.dumps([each.id for each in lists]).decode(),
        "budget": min(SCAN_BUDGET, _BUDGET // len(lists)),
        "limit": limit,
    }
    return [as_bytes(row[0]) for row in await session.fetch(newest_statement(fields), values)]
