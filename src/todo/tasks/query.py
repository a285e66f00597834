"""Task queries: the parameters of a task list, and the pages that match them."""

import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import orjson

from todo.api.pagination import decode_cursor, encode_cursor, render_page
from todo.core.caller import Caller
from todo.core.domain import PRIORITIES, Priority
from todo.core.errors import NotFoundError, ProblemError
from todo.core.timestamps import format_timestamp
from todo.core.validation_errors import field_error
from todo.db.documents import TASK_FIELDS, as_bytes, parse_task
from todo.db.session import Session
from todo.db.statement import Row
from todo.db.tables import MAX_POSITION, NO_DUE
from todo.schedule.due import DueWindow, check_zone, day_bounds, due_key, first_day
from todo.tasks.account_zone import fetch_zone
from todo.tasks.document import read_due, read_rank
from todo.tasks.page_sql import (
    NARROW,
    boundary_statement,
    count_statement,
    find_selective_condition,
    gather_statement,
    is_scanned,
    page_statement,
)
from todo.tasks.query_shape import QueryShape, Sort
from todo.tasks.repository import TaskRepository
from todo.tasks.search import search_params
from todo.text.search_words import parse_query

if TYPE_CHECKING:
    from collections.abc import Mapping

# Maximum distance between a day's midnight in any zone and in UTC, by which days are sorted.
_ZONES = timedelta(hours=15)
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 30, tzinfo=UTC)
_CURSOR_VERSION = 2
_Position = tuple[tuple[Any, Any, Any], Any, str]


@dataclass(frozen=True, slots=True)
class Query:
    """Parameters of a task list.

    Attributes:
        tags: Tags that a task must all have.
        list_id: ID of a list, `none` for tasks in no list, None for all tasks.
        parent_id: ID of the direct parent; None for any.
        due: Due window, or `none` for tasks without a due date or time.
        due_from: Earliest due instant; a due date counts as its midnight in `zone`.
        due_to: Exclusive end of the due instants.
        updated_since: Earliest time of the last change.
        search: Words that title or description must contain; None or "" for no search.
        sort: Sort key; None for `due` with a due window, otherwise `created`.
        descending: Whether the largest value comes first; None for the default of `sort`.
        cursor: `next_cursor` of the previous page.
        zone: IANA time zone of calendar days; None for that of the owner's account.
    """

    status: Literal["open", "completed"] | None = None
    priority: Priority | None = None
    tags: tuple[str, ...] = ()
    list_id: str | None = None
    parent_id: str | None = None
    due: Literal["overdue", "today", "tomorrow", "week", "month", "none"] | None = None
    due_from: datetime | None = None
    due_to: datetime | None = None
    updated_since: datetime | None = None
    search: str | None = None
    sort: Sort | None = None
    descending: bool | None = None
    limit: int = 20
    cursor: str | None = None
    fields: tuple[str, ...] = TASK_FIELDS
    zone: str | None = None


@dataclass(slots=True)
class Page:
    """Page of task documents, and the cursor of the next page."""

    items: list[bytes]
    next_cursor: str | None = None

    def render(self) -> bytes:
        """Return the page as JSON."""
        return render_page(self.items, self.next_cursor)


@dataclass(slots=True)
class _Plan:
    shape: QueryShape
    values: dict[str, Any] = field(default_factory=dict)


async def read_page(session: Session, caller: Caller, query: Query, now: datetime) -> Page:
    """Return the page of tasks that match a query.

    Raises:
        NotFoundError: The list does not exist, or the caller cannot see it.
        ValidationFailedError: Parameters contradict each other, or the cursor does not fit them.
    """
    if query.search is not None and not query.search.strip():
        query = replace(query, search=None)
    owner = await _find_owner(session, caller, query)
    plan = _plan(query, owner, caller)
    if query.due == "overdue" and query.status == "completed":
        # Completed tasks are not overdue.
        return Page([])
    if query.due not in {None, "none"} or query.due_from or query.due_to:
        await _add_window(session, plan, query, now)
    if query.search is not None:
        words = parse_query(query.search)
        if words is None:
            return Page([])
        plan.values |= search_params(session.dialect, owner, words)
    _add_cursor(plan, query)
    wanted = _with_keys(plan.shape)
    values = {**plan.values, "limit": query.limit + 1}
    page = await _gather(session, wanted, values) or await _scan(session, wanted, values)
    if wanted is not plan.shape:
        page.items = [_cut(item, plan.shape.fields) for item in page.items]
    return page


async def _gather(session: Session, shape: QueryShape, values: dict[str, Any]) -> Page | None:
    """Return the page from all matches of the selective condition; None if there are too many."""
    if find_selective_condition(shape) is None:
        return None
    if shape.sort == "relevance":
        # Ranking matches costs more than counting them.
        counted = await session.find(count_statement(shape), values)
        if counted is None or counted[0] > NARROW:
            return None
    rows = await session.fetch(gather_statement(shape), values)
    if rows:
        number = rows[0][1]
    else:
        # One snapshot: concurrent deletions could make too many matches look like few.
        async with session.one_view():
            rows = await session.fetch(gather_statement(shape), values)
            counted = await session.find(count_statement(shape), values)
        number = counted[0] if counted else 0
    return None if number > NARROW else _make_page(shape, rows, values)


async def _scan(session: Session, shape: QueryShape, values: dict[str, Any]) -> Page:
    """Return the page by scanning the index of the sort order, within the scan budget."""
    scanned = is_scanned(shape)
    boundary = None
    # One snapshot: rows deleted between the two statements would make the boundary skip others.
    async with session.one_view() if scanned else contextlib.nullcontext():
        rows = await session.fetch(page_statement(shape), values)
        if scanned and len(rows) < values["limit"]:
            boundary = await session.find(boundary_statement(shape), values)
    page = _make_page(shape, rows, values)
    if boundary is not None:
        page.next_cursor = _encode(shape, _as_text(boundary[0]), str(boundary[1]))
    return page


def _make_page(shape: QueryShape, rows: list[Row], values: dict[str, Any]) -> Page:
    """Return the page; a row beyond the limit means that another page follows."""
    limit = values["limit"] - 1
    page = Page([as_bytes(row[0]) for row in rows[:limit]])
    if len(rows) > limit and shape.sort != "relevance":
        page.next_cursor = _encode(shape, *_last_place(shape, page.items[-1]))
    return page


async def _find_owner(session: Session, caller: Caller, query: Query) -> str:
    list_id = query.list_id if query.list_id not in {None, "none"} else caller.list_id
    if list_id is None:
        return caller.user
    found = await TaskRepository(session, caller).find_list(list_id)
    if found is None:
        raise NotFoundError
    return found[0]


def _plan(query: Query, owner: str, caller: Caller) -> _Plan:
    list_id = query.list_id or caller.list_id
    if query.list_id == "none" and caller.list_id is not None:
        raise NotFoundError
    is_windowed = query.due not in {None, "none"} or bool(query.due_from or query.due_to)
    sort = query.sort or ("due" if is_windowed else "created")
    if sort == "relevance" and query.search is None:
        raise _refuse("sort", "relevance requires q")
    if sort == "position" and list_id is None:
        raise _refuse("sort", "position requires list")
    if query.due == "none" and is_windowed:
        raise _refuse("due", "none cannot be combined with due_from and due_to")
    descending = query.descending
    if descending is None:
        descending = sort in {"created", "updated", "priority", "relevance"}
    plan = _Plan(
        QueryShape(
            sort=sort,
            descending=descending,
            # A completed task is not overdue.
            status="open" if query.due == "overdue" else query.status,
            in_list="any" if list_id is None else "none" if list_id == "none" else "one",
            parent=query.parent_id is not None,
            tags=len(query.tags),
            priority=query.priority is not None,
            due="window" if is_windowed else "none" if query.due == "none" else "any",
            updated=query.updated_since is not None,
            search=query.search is not None,
            fields=query.fields,
        ),
        {"owner": owner},
    )
    values = plan.values
    if plan.shape.in_list == "one":
        values["list_id"] = list_id
    if query.parent_id is not None:
        values["parent_id"] = query.parent_id
    if query.priority is not None:
        values["priority"] = read_rank(query.priority)
    if query.updated_since is not None:
        values["updated_since"] = _render(query.updated_since)
    values |= {f"tag_{number}": tag for number, tag in enumerate(query.tags)}
    return plan


async def _add_window(session: Session, plan: _Plan, query: Query, now: datetime) -> None:
    zone = check_zone(query.zone or await fetch_zone(session, plan.values["owner"]))
    window = DueWindow(None, None, None, None)
    if query.due is not None and query.due != "none":
        window = day_bounds(query.due, now, zone)
    at_from = max(filter(None, (window.at_from, query.due_from)), default=_FIRST)
    at_to = min(filter(None, (window.at_to, query.due_to)), default=_LAST)
    days = [window.date_from, window.date_to]
    if query.due_from:
        days[0] = max(filter(None, (days[0], first_day(query.due_from, zone))))
    if query.due_to:
        days[1] = min(filter(None, (days[1], first_day(query.due_to, zone))))
    date_from, date_to = days[0] or _FIRST.date(), days[1] or _LAST.date()
    midnights = due_key(date_from, None), due_key(date_to, None)
    first, end = (
        min(filter(None, (at_from, midnights[0]))),
        max(filter(None, (at_to, midnights[1]))),
    )
    plan.values |= {
        "date_from": date_from.isoformat(),
        "date_to": date_to.isoformat(),
        "at_from": _render(at_from),
        "at_to": _render(at_to),
    }
    if plan.shape.sort == "due":
        plan.values |= {
            "key_from": _render(max(first, _FIRST + _ZONES) - _ZONES),
            "key_to": _render(min(end, _LAST - _ZONES) + _ZONES),
        }


def _add_cursor(plan: _Plan, query: Query) -> None:
    if query.cursor is None:
        return
    if plan.shape.sort == "relevance":
        raise _refuse("cursor", "a search by relevance has only one page")
    key, last_id = _decode(plan.shape, query.cursor)
    plan.shape = replace(plan.shape, after=True)
    plan.values["after_id"] = last_id
    if plan.shape.key != "id":
        plan.values["after_key"] = key


_PLACE = {
    "id": ("id",),
    "updated_at": ("id", "updated_at"),
    "due_key": ("id", "due_date", "due_at"),
    "priority": ("id", "priority"),
    "title": ("id", "title"),
    "position": ("id", "position"),
}


def _with_keys(shape: QueryShape) -> QueryShape:
    """Return the shape extended by the fields that its cursor needs."""
    missing = [name for name in _PLACE[shape.key] if name not in shape.fields]
    return replace(shape, fields=(*shape.fields, *missing)) if missing else shape


def _cut(item: bytes, fields: tuple[str, ...]) -> bytes:
    part: Mapping[str, Any] = parse_task(item)
    return orjson.dumps({name: part[name] for name in fields})


def _last_place(shape: QueryShape, item: bytes) -> tuple[Any, str]:
    last = parse_task(item)
    if shape.key == "due_key":
        key = due_key(*read_due(last))
        return NO_DUE if key is None else _render(key), last["id"]
    if shape.key == "priority":
        return read_rank(last["priority"]), last["id"]
    fields: Mapping[str, Any] = last
    return fields[shape.key], last["id"]


def render_due_cursor(item: bytes) -> str:
    """Return the cursor that continues after a task in a page sorted by due date."""
    last = parse_task(item)
    key = due_key(*read_due(last))
    place = NO_DUE if key is None else _render(key)
    return encode_cursor(_CURSOR_VERSION, "due", False, place, last["id"])  # noqa: FBT003 - a JSON value


def _encode(shape: QueryShape, key: Any, last_id: str) -> str:  # noqa: ANN401 - string or number
    key = None if shape.key == "id" else key
    return encode_cursor(_CURSOR_VERSION, shape.sort, shape.descending, key, last_id)


def _decode(shape: QueryShape, cursor: str) -> tuple[Any, str]:
    def parse(version: Any, sort: Any, descending: Any, key: Any, last_id: Any) -> _Position:  # noqa: ANN401 - any JSON from the client
        return (version, sort, descending), _read_key(shape, key), str(UUID(last_id))

    order, key, last_id = decode_cursor(cursor, parse)
    if order != (_CURSOR_VERSION, shape.sort, shape.descending):
        raise _refuse("cursor", "the cursor is for another order; send the order of its page")
    return key, last_id


def _read_key(shape: QueryShape, key: Any) -> Any:  # noqa: ANN401 - any JSON from the client
    """Return a cursor's key in the form that is compared with its column."""
    column = shape.key
    if column == "id":
        fits = key is None
    elif column == "priority":
        fits = type(key) is int and 0 <= key < len(PRIORITIES)
    elif column == "position":
        # SQLite's integers are limited to 64 bits.
        fits = type(key) in {int, float} and abs(key) <= MAX_POSITION
    else:
        fits = isinstance(key, str) and "\0" not in key
    if not fits:
        raise ValueError(column)
    return _render(datetime.fromisoformat(key)) if column in {"updated_at", "due_key"} else key


def _as_text(key: Any) -> Any:  # noqa: ANN401 - type depends on the driver
    return _render(key) if isinstance(key, datetime) else key


def _render(moment: datetime) -> str:
    return format_timestamp(moment)


def _refuse(name: str, why: str) -> ProblemError:
    return field_error(name, why, place="query")
