"""Number of open tasks per list, counted by one statement that reads a bounded number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, case, func, literal_column, select, tuple_, union_all
from sqlalchemy.sql.elements import ColumnElement

from todo.core.caller import Caller
from todo.db.session import Session
from todo.db.statement import SQLITE, Statement
from todo.db.tables import Id, task
from todo.tasks.visible_lists import VisibleList

MAX_ROWS = 1000
"""Maximum number of rows read for the user's open tasks, and for each list of another user."""
MAX_SHARED = 10
"""Maximum number of other users' lists whose tasks are counted."""

_ENDS = [literal_column(f"'{UUID(int=end)}'", Id) for end in (0, 2**128 - 1)]
_IS_OPEN = task.c.completed_at.is_(None)


def _within(dialect: str, *leading: tuple[ColumnElement[Any], ColumnElement[Any]]) -> Any:  # noqa: ANN401 - conditions and order
    """Return conditions and order for an index ending with the ID, as in `todo.tasks.page_sql`."""
    columns, values = [column for column, _ in leading], [value for _, value in leading]
    if dialect == SQLITE:
        return [column == value for column, value in leading], [*columns, task.c.id]
    key = tuple_(*columns, task.c.id)
    first, last = (tuple_(*values, end) for end in _ENDS)
    return [key >= first, key <= last], [*columns, task.c.id]


def _select_own(dialect: str) -> Select[Any]:
    conditions, order = _within(dialect, (task.c.owner, bindparam("owner")))
    chosen = select(task.c.list_id, task.c.completed_at).where(_IS_OPEN, *conditions)
    return select(chosen.order_by(*order).limit(MAX_ROWS + 1).subquery())


def _select_list(dialect: str, number: int) -> Select[Any]:
    of_list = bindparam(f"list_{number}", type_=Id)
    conditions, order = _within(dialect, (task.c.list_id, of_list))
    chosen = select(task.c.list_id, task.c.completed_at).where(
        task.c.owner == bindparam(f"owner_{number}"), *conditions
    )
    return select(chosen.order_by(*order).limit(MAX_ROWS + 1).subquery())


def _count(dialect: str, single: int) -> Select[Any]:
    rows = union_all(
        _select_own(dialect), *(_select_list(dialect, number) for number in range(single))
    ).subquery("rows")
    is_open = case((rows.c.completed_at.is_(None), 1), else_=0)
    return select(rows.c.list_id, func.count(), func.sum(is_open)).group_by(rows.c.list_id)


# The index is the number of lists that are counted separately.
_COUNTS = [Statement(partial(_count, single=number)) for number in range(MAX_SHARED + 1)]


class OpenCount(NamedTuple):
    """Number of open tasks in a list; only a lower bound if `is_minimum`."""

    number: int
    is_minimum: bool


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """Numbers of open tasks: per counted list, by its ID, and of the user's tasks in no list."""

    by_list: dict[str, OpenCount]
    without_list: OpenCount


async def count_open_tasks(
    session: Session, caller: Caller, lists: Sequence[VisibleList]
) -> OpenCounts:
    """Count the open tasks of the caller's own lists and of the first MAX_SHARED shared lists.

    With a token for one list, only that list is counted, like a shared list.
    """
    is_bound = caller.list_id is not None
    single = [each for each in lists if is_bound or each.access != "owner"][:MAX_SHARED]
    # With a token for one list, the empty owner excludes the user's other tasks.
    values: dict[str, Any] = {"owner": "" if is_bound else caller.user}
    for number, one in enumerate(single):
        values |= {f"list_{number}": one.id, f"owner_{number}": one.owner}
    rows = await session.fetch(_COUNTS[len(single)], values)
    found = {row[0] and str(row[0]): (int(row[1]), int(row[2])) for row in rows}
    counted = {each.id for each in single}
    total = sum(read for list_id, (read, _) in found.items() if list_id not in counted)

    def count(list_id: str | None) -> OpenCount:
        read, number = found.get(list_id, (0, 0))
        return OpenCount(number, (read if list_id in counted else total) > MAX_ROWS)

    own = {each.id for each in lists if each.access == "owner"}
    return OpenCounts({each: count(each) for each in own | counted}, count(None))
