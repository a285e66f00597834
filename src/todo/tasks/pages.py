"""Pages of tasks: one statement for each shape of a question, each bounded.

A page follows one index in the order asked for. Conditions that the index does not answer are
tried on at most SCAN_BUDGET of its rows; a page whose budget is spent ends there, short, and its
cursor goes on from the last row that was looked at. So no question reads more than that, however
large an account is and however few tasks answer it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.models import Day, Id, Time, task, task_tag
from todo.sql import Statement
from todo.tasks.image import TASK_FIELDS, select_image
from todo.tasks.search import matches, rank

SCAN_BUDGET = 2000
RANKED = 500
"""Newest matches among which a search by relevance ranks."""

Sort = Literal["created", "updated", "due", "priority", "title", "position", "relevance"]
_KEYS = {
    "created": "id",
    "updated": "updated_at",
    "due": "due_key",
    "priority": "priority",
    "title": "title",
    "position": "position",
    "relevance": "id",
}
_CACHED_SHAPES = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """What a question asks by, without the values; the parameters are named after the fields.

    Attributes:
        sort: The order.
        descending: Whether the largest comes first.
        after: Whether it goes on after a cursor (`after_key`, `after_id`).
        status: `open` or `completed`, None for both.
        in_list: `one` list (`list_id`), `none`, or `any`.
        parent: Whether it is about the tasks right below one (`parent_id`).
        tags: How many tags (`tag_0` ...) a task must have.
        priority: Whether it must have one priority.
        due: `window` (`date_from`, `date_to`, `at_from`, `at_to`, `key_from`, `key_to`), `none`
            for tasks without, or `any`.
        updated: Whether it must have changed since (`updated_since`).
        search: Whether its words must match (`words`).
        fields: Keys of the images.
    """

    sort: Sort = "created"
    descending: bool = True
    after: bool = False
    status: Literal["open", "completed"] | None = None
    in_list: Literal["one", "none", "any"] = "any"
    parent: bool = False
    tags: int = 0
    priority: bool = False
    due: Literal["window", "none", "any"] = "any"
    updated: bool = False
    search: bool = False
    fields: tuple[str, ...] = TASK_FIELDS

    @property
    def key(self) -> str:
        """The column that a page is sorted by, before the id."""
        return _KEYS[self.sort]


@lru_cache(_CACHED_SHAPES)
def page_statement(shape: Shape) -> Statement:
    """Return the statement that reads the images of a page (parameter `limit`)."""
    return Statement(lambda dialect: _page(shape, dialect))


@lru_cache(_CACHED_SHAPES)
def is_scanned(shape: Shape) -> bool:
    """Whether conditions are left that no index answers, so that the budget counts."""
    return shape.sort != "relevance" and bool(_residuals(shape, task))


@lru_cache(_CACHED_SHAPES)
def boundary_statement(shape: Shape) -> Statement:
    """Return the statement that reads key and id of the last row within the scan budget."""
    return Statement(lambda dialect: _boundary(shape, dialect))


def _page(shape: Shape, dialect: str) -> Select[Any]:
    if shape.sort == "relevance":
        return _ranked(shape, dialect)
    rest = _residuals(shape, task)
    if not rest:
        return select_image(
            dialect,
            task,
            lambda s: _drive(shape, dialect, s).limit(bindparam("limit")),
            shape.fields,
        )
    found = _drive(shape, dialect, select(task)).limit(SCAN_BUDGET).subquery("c")
    return select_image(
        dialect,
        found,
        lambda s: (
            s.where(*_residuals(shape, found))
            .order_by(*_order(shape, found))
            .limit(bindparam("limit"))
        ),
        shape.fields,
    )


def _ranked(shape: Shape, dialect: str) -> Select[Any]:
    """The best of the newest matches."""
    matching = _drive(shape, dialect, select(task, rank(dialect).label("rank")))
    found = matching.limit(RANKED).subquery("c")
    return select_image(
        dialect,
        found,
        lambda s: (
            s.where(*_residuals(shape, found))
            .order_by(found.c.rank.desc(), found.c.id.desc())
            .limit(bindparam("limit"))
        ),
        shape.fields,
    )


def _boundary(shape: Shape, dialect: str) -> Select[Any]:
    chosen = select(task.c[shape.key].label("key"), task.c.id)
    driven = _drive(shape, dialect, chosen).limit(1).offset(SCAN_BUDGET - 1).subquery("b")
    return select(driven.c.key, driven.c.id)


def _order(shape: Shape, source: FromClause) -> list[ColumnElement[Any]]:
    columns = [source.c.id] if shape.key == "id" else [source.c[shape.key], source.c.id]
    return [column.desc() if shape.descending else column.asc() for column in columns]


def is_tag_driven(shape: Shape) -> bool:
    """Whether the index of tags leads: it has a tag's tasks in the order of their making."""
    return shape.tags > 0 and shape.key == "id" and not shape.search


def _drive(shape: Shape, dialect: str, chosen: Select[Any]) -> Select[Any]:
    """Follow the index that has the order, from the cursor on."""
    source: FromClause = task
    conditions: list[ColumnElement[bool]] = [task.c.owner == bindparam("owner")]
    key: ColumnElement[Any] = task.c[shape.key]
    order = _order(shape, task)
    if is_tag_driven(shape):
        source = task.join(task_tag, task_tag.c.task_id == task.c.id)
        conditions += [
            task_tag.c.owner == bindparam("owner"),
            task_tag.c.tag == bindparam("tag_0"),
        ]
        key = task_tag.c.task_id
        order = [key.desc() if shape.descending else key.asc()]
    if shape.status == "open":
        conditions.append(task.c.completed_at.is_(None))
    if shape.in_list == "one":
        conditions.append(task.c.list_id == bindparam("list_id", type_=Id))
    elif shape.in_list == "none":
        conditions.append(task.c.list_id.is_(None))
    if shape.parent:
        conditions.append(task.c.parent_id == bindparam("parent_id", type_=Id))
    if shape.sort == "due" and shape.due == "window":
        conditions += [
            task.c.due_key >= bindparam("key_from", type_=Time),
            task.c.due_key < bindparam("key_to", type_=Time),
        ]
    if shape.sort == "updated" and shape.updated:
        conditions.append(task.c.updated_at >= bindparam("updated_since", type_=Time))
    if shape.search:
        conditions.append(matches(dialect))
    if shape.after:
        conditions.append(_after(shape, key))
    return chosen.select_from(source).where(*conditions).order_by(*order)


def _after(shape: Shape, key: ColumnElement[Any]) -> ColumnElement[bool]:
    last_id = bindparam("after_id", type_=Id)
    if shape.key == "id":
        return key < last_id if shape.descending else key > last_id
    here = tuple_(key, task.c.id)
    last = tuple_(bindparam("after_key", type_=key.type), last_id)
    return here < last if shape.descending else here > last


def _residuals(shape: Shape, source: FromClause) -> list[ColumnElement[bool]]:
    """The conditions that no index answers in this order."""
    conditions: list[ColumnElement[bool]] = []
    if shape.status == "completed":
        conditions.append(source.c.completed_at.is_not(None))
    if shape.priority:
        conditions.append(source.c.priority == bindparam("priority"))
    if shape.due == "window":
        conditions.append(_in_window(source))
    elif shape.due == "none":
        conditions += [source.c.due_date.is_(None), source.c.due_at.is_(None)]
    if shape.updated and shape.sort != "updated":
        conditions.append(source.c.updated_at >= bindparam("updated_since", type_=Time))
    for number in range(1 if is_tag_driven(shape) else 0, shape.tags):
        conditions.append(
            exists().where(
                task_tag.c.owner == bindparam("owner"),
                task_tag.c.tag == bindparam(f"tag_{number}"),
                task_tag.c.task_id == source.c.id,
            )
        )
    return conditions


def _in_window(source: FromClause) -> ColumnElement[bool]:
    def between(name: str, kind: Any, first: str, end: str) -> ColumnElement[bool]:  # noqa: ANN401
        column = source.c[name]
        return and_(column >= bindparam(first, type_=kind), column < bindparam(end, type_=kind))

    return or_(
        between("due_date", Day, "date_from", "date_to"),
        between("due_at", Time, "at_from", "at_to"),
    )
