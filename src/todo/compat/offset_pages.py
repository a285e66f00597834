"""Offset pagination for existing front ends, on top of cursor pagination."""

from dataclasses import replace
from datetime import datetime

from todo.core.caller import Caller
from todo.db.session import Session
from todo.tasks.query import Query, read_page

# Each looks at most at the scan budget of a page. For words that is more work for fewer rows.
MAX_SCANS = 10
MAX_SEARCH_SCANS = 4


async def read_numbered(
    session: Session, caller: Caller, query: Query, now: datetime, skipped: int
) -> list[bytes]:
    """Return the documents of the tasks that follow the first `skipped`.

    A question that few tasks answer is looked for in MAX_SCANS (MAX_SEARCH_SCANS) times the scan
    budget of a page; what lies behind is not found.

    Args:
        session: Session for the reads.
        caller: Caller of the request.
        query: Query; its limit is the size of the page.
        now: Current time, for conditions on the due.
        skipped: Number of tasks before the page.
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
