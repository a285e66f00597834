"""Offset pagination for existing front ends, on top of cursor pagination."""

from dataclasses import replace
from datetime import datetime

from todo.core.caller import Caller
from todo.db.session import Session
from todo.tasks.query import Query, read_page

# Maximum number of scans, each within the scan budget of a page; a search does more work per row.
MAX_SCANS = 10
MAX_SEARCH_SCANS = 4


async def read_numbered(
    session: Session, caller: Caller, query: Query, now: datetime, skipped: int
) -> list[bytes]:
    """Return the documents of the `query.limit` tasks after the first `skipped` tasks.

    The scan stops after MAX_SCANS (MAX_SEARCH_SCANS) times the scan budget of a page; matches
    beyond that are not found.
    """
    left = skipped
    found: list[bytes] = []
    for _ in range(MAX_SCANS if query.search is None else MAX_SEARCH_SCANS):
        if left:
            page = await read_page(session, caller, replace(query, fields=("id",), limit=left), now)
            left -= len(page.items)
        else:
            wanted = query.limit - len(found)
            page = await read_page(session, caller, replace(query, limit=wanted), now)
            found += page.items
        if page.next_cursor is None or len(found) == query.limit:
            break
        query = replace(query, cursor=page.next_cursor)
    return found
