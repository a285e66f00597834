"""Newest open tasks of several lists, in one statement."""

from collections.abc import Sequence

import orjson

from todo.db.documents import as_bytes
from todo.db.session import Session
from todo.tasks.page_sql import SCAN_BUDGET, newest_statement
from todo.tasks.visible_lists import VisibleList

_BUDGET = 5000
"""Maximum number of rows read for all lists together."""


async def fetch_newest(
    session: Session, lists: Sequence[VisibleList], limit: int, fields: tuple[str, ...]
) -> list[bytes]:
    """Return the documents of the newest open tasks, up to `limit` for each list.

    Open tasks that are older than many completed tasks of their list are left out.
    """
    if not lists:
        return []
    values = {
        "lists": orjson.dumps([each.id for each in lists]).decode(),
        "budget": min(SCAN_BUDGET, _BUDGET // len(lists)),
        "limit": limit,
    }
    return [as_bytes(row[0]) for row in await session.fetch(newest_statement(fields), values)]
