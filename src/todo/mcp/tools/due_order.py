"""Pages of tasks sorted by due date in the zone of an account.

The index sorts a due day as its midnight in UTC. West of Greenwich, that is the evening before, so
a page could end with tasks of tomorrow and omit tasks of tonight.
"""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, time

from todo.core.caller import Caller
from todo.db.documents import parse_task
from todo.db.session import Session
from todo.mcp.tools.account_time import AccountTime
from todo.schedule.due import at_wall_time, due_key
from todo.tasks.document import read_due
from todo.tasks.query import Page, Query, read_page, render_due_cursor

MAX_MORE = 50
"""Maximum number of tasks in a page beyond its limit."""
_NEVER = datetime.max.replace(tzinfo=UTC)


async def read_due_page(
    session: Session, caller: Caller, query: Query, clock: AccountTime, now: datetime
) -> Page:
    """Return a page sorted by due date, extended by tasks that are due before its last day starts.

    The query must have the ascending sort order `due`.

    Raises:
        ProblemError: As for `read_page`.
    """
    page = await read_page(session, caller, query, now)
    days = [day for day, _ in map(_due_of, page.items) if day is not None]
    if page.next_cursor is not None and days:
        begin = at_wall_time(max(days), time.min, clock.zone)
        await _continue(session, caller, query, page, begin, now)
    page.items.sort(key=lambda item: _order(item, clock))
    return page


async def _continue(
    session: Session, caller: Caller, query: Query, page: Page, begin: datetime, now: datetime
) -> None:
    """Extend a page by the following tasks that are due before an instant."""
    last = due_key(*_due_of(page.items[-1])) or _NEVER
    if last >= begin:
        return
    following = replace(query, cursor=page.next_cursor, limit=MAX_MORE)
    more = await read_page(session, caller, following, now)
    taken = list(
        itertools.takewhile(
            lambda item: (due_key(*_due_of(item)) or _NEVER) < begin,
            more.items,
        )
    )
    page.items += taken
    if len(taken) == len(more.items):
        page.next_cursor = more.next_cursor
    elif taken:
        page.next_cursor = render_due_cursor(taken[-1])


def _due_of(item: bytes) -> tuple[date | None, datetime | None]:
    return read_due(parse_task(item))


def _order(item: bytes, clock: AccountTime) -> tuple[date, bool, datetime]:
    """Return the sort key of a task: its local day, then its time; tasks without one come first."""
    day, at = _due_of(item)
    if day is not None:
        return day, False, _NEVER
    if at is None:
        return date.max, True, _NEVER
    return at.astimezone(clock.zone).date(), True, at
