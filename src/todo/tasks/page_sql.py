"""SQL statements of task pages: one for each query shape, with a bound on the rows read.

A page scans one index in the requested order. Conditions that the index does not cover become a
residual filter on at most SCAN_BUDGET rows (WORDS_BUDGET for words). If the budget is used up, the
page is short and its cursor continues after the last row read. This bounds every query, however
large the account is and however few tasks match.

If the index of a selective condition (words, a parent, a tag, a list) has another order, its
matches are first collected and sorted, provided that there are at most NARROW.

PostgreSQL must not choose another index. So each condition is either covered by the index or
applied outside the LIMIT, where the planner cannot use it to read the table in another way.
"""

from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    FromClause,
    Select,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.visitors import ExternallyTraversible, replacement_traverse

from todo.db.documents import select_document
from todo.db.statement import SQLITE, Statement, unnest_json
from todo.db.tables import Day, Id, Time, task, task_list, task_tag
from todo.tasks.query_shape import QueryShape
from todo.tasks.search import has_words, may_match, rank

SCAN_BUDGET = 2000
WORDS_BUDGET = 500
"""Scan budget of a search for words, which compares longer texts than other conditions do."""
NARROW = 500
"""Maximum number of matches of a selective condition that are collected and sorted."""

_CACHED_SHAPES = 512
_ENDS = (0, 2**128 - 1)
"""Lowest and highest ID, as integers."""


@lru_cache(_CACHED_SHAPES)
def page_statement(shape: QueryShape) -> Statement:
    """Return the statement that reads the documents of a page (parameter `limit`)."""
    return Statement(lambda dialect: _page(shape, dialect))


@lru_cache(_CACHED_SHAPES)
def boundary_statement(shape: QueryShape) -> Statement:
    """Return the statement that reads sort key and ID of the last row within the scan budget."""
    return Statement(lambda dialect: _boundary(shape, dialect))


@lru_cache(_CACHED_SHAPES)
def gather_statement(shape: QueryShape) -> Statement:
    """Return the statement that reads a page from the matches of the selective condition.

    Each row also has the number of matches; if it exceeds NARROW, there may be more.
    """
    return Statement(lambda dialect: _gather(shape, dialect))


@lru_cache(_CACHED_SHAPES)
def count_statement(shape: QueryShape) -> Statement:
    """Return the statement that counts the matches of the selective condition, up to NARROW + 1."""
    return Statement(
        lambda dialect: select(func.count()).select_from(_matches(shape, dialect).subquery("m"))
    )


@lru_cache(_CACHED_SHAPES)
def newest_statement(fields: tuple[str, ...]) -> Statement:
    """Return the statement that reads the newest open tasks of several `lists`.

    For each list, `budget` limits the rows read, and `limit` the tasks returned.
    """
    return Statement(lambda dialect: _newest(fields, dialect))


@lru_cache(_CACHED_SHAPES)
def is_scanned(shape: QueryShape) -> bool:
    """Return whether the query has a residual filter, so that the scan budget applies."""
    return shape.sort != "relevance" and bool(
        _residual_filter(shape, task, SQLITE, _indexed_conditions(shape))
    )


def find_selective_condition(shape: QueryShape) -> str | None:
    """Return the name of the selective condition of a query, if gathering its matches helps."""
    if shape.search:
        return "search"
    led = _indexed_conditions(shape)
    if shape.parent and "parent" not in led:
        return "parent"
    if shape.tags and "tag_0" not in led:
        return "tag_0"
    return "list" if shape.in_list == "one" and "list" not in led else None


def _indexed_conditions(shape: QueryShape) -> frozenset[str]:
    """Return the names of the conditions that the index of the sort order covers."""
    led = {"owner"}
    if shape.key == "id":
        if shape.tags:
            led.add("tag_0")
        elif shape.parent:
            led.add("parent")
        elif shape.in_list != "any":
            led.add("list")
        elif shape.status == "open":
            led.add("status")
    elif shape.sort == "due" and shape.status == "open":
        led.add("status")
    elif shape.sort == "position" and shape.in_list != "any":
        led.add("list")
    elif shape.sort == "updated":
        led.add("updated")
    return frozenset(led)


def _page(shape: QueryShape, dialect: str) -> Select[Any]:
    led = _indexed_conditions(shape)
    if shape.sort != "relevance" and not _residual_filter(shape, task, dialect, led):
        return select_document(
            dialect,
            task,
            lambda s: _scan_index(shape, dialect, s).limit(bindparam("limit")),
            shape.fields,
        )
    looked_at = _scan_index(shape, dialect, select(task)).limit(_budget(shape)).subquery("c")
    return _chosen(shape, dialect, looked_at, led, [])


def _gather(shape: QueryShape, dialect: str) -> Select[Any]:
    matching = _matches(shape, dialect, task).cte("m")
    number = select(func.count()).select_from(matching).scalar_subquery()
    led = frozenset({find_selective_condition(shape) or ""})
    return _chosen(shape, dialect, matching, led, [number.label("number")])


def _chosen(
    shape: QueryShape,
    dialect: str,
    source: FromClause,
    led: frozenset[str],
    extra: list[ColumnElement[Any]],
) -> Select[Any]:
    """Return the statement that filters and sorts the rows of `source` into a page."""
    rest = _residual_filter(shape, source, dialect, led)
    if shape.after and extra:
        rest.append(_after(shape, source.c[shape.key], source.c.id))
    order = _order(shape, source)
    if shape.sort == "relevance":
        order = [rank(dialect, source).desc(), source.c.id.desc()]
    return select_document(
        dialect,
        source,
        lambda s: s.where(*rest).order_by(*order).limit(bindparam("limit")),
        shape.fields,
        extra,
    )


def _matches(shape: QueryShape, dialect: str, *columns: Any) -> Select[Any]:  # noqa: ANN401 - as in SQLAlchemy
    """Return the statement that reads up to NARROW + 1 matches of the selective condition."""
    narrow = find_selective_condition(shape)
    chosen = select(*(columns or (literal(1),)))
    if narrow == "tag_0":
        return _tagged(chosen).limit(NARROW + 1)
    conditions = {
        "search": may_match(dialect, NARROW + 1),
        "parent": _is_below(task),
        "list": and_(_is_owned(task), _is_in_list(shape, task)),
    }
    return chosen.select_from(task).where(conditions[narrow or ""]).limit(NARROW + 1)


def _newest(fields: tuple[str, ...], dialect: str) -> Select[Any]:
    """Return the statement that reads the open tasks among the newest of each list."""
    known = select(task_list.c.id, task_list.c.owner)
    lists = known.where(task_list.c.id.in_(unnest_json(dialect, "lists", Id))).subquery("l")
    columns = [column for column in task.c if column.name in {*fields, "id", "completed_at"}]
    scan = _scan_index(QueryShape(in_list="one"), dialect, select(*columns))
    scan = _of_each(lists, scan.limit(bindparam("budget"))).correlate(lists)
    read = scan.subquery("n") if dialect == SQLITE else scan.lateral("n")
    found = select(read).where(read.c.completed_at.is_(None)).order_by(read.c.id.desc())
    found = found.limit(bindparam("limit")).correlate(lists)
    newest: FromClause = found.lateral("m")
    is_newest: ColumnElement[bool] = true()
    if dialect == SQLITE:
        # SQLite has no LATERAL; PostgreSQL would evaluate a correlated IN for every task.
        newest = task.alias("m")
        is_newest = newest.c.id.in_(found.with_only_columns(read.c.id))
    chosen = select(*(newest.c[column.name] for column in columns))
    source = chosen.select_from(lists.join(newest, is_newest)).subquery("c")
    return select_document(dialect, source, lambda s: s.order_by(source.c.id.desc()), fields)


def _of_each(lists: FromClause, statement: Select[Any]) -> Select[Any]:
    """Correlate a statement about one list with each row of `lists`."""
    columns = {"list_id": lists.c.id, "owner": lists.c.owner}

    def replace(element: ExternallyTraversible, **_: Any) -> ExternallyTraversible | None:  # noqa: ANN401 - as in SQLAlchemy
        return columns.get(element.key) if isinstance(element, BindParameter) else None

    replaced = replacement_traverse(statement, {}, replace)
    assert isinstance(replaced, Select)  # noqa: S101 - narrows the type
    return replaced


def _boundary(shape: QueryShape, dialect: str) -> Select[Any]:
    chosen = select(task.c[shape.key].label("key"), task.c.id)
    driven = _scan_index(shape, dialect, chosen).limit(1).offset(_budget(shape) - 1).subquery("b")
    return select(driven.c.key, driven.c.id)


def _budget(shape: QueryShape) -> int:
    return WORDS_BUDGET if shape.search else SCAN_BUDGET


def _order(shape: QueryShape, source: FromClause) -> list[ColumnElement[Any]]:
    columns = [source.c.id] if shape.key == "id" else [source.c[shape.key], source.c.id]
    return [_sorted(shape, column) for column in columns]


def _scan_index(shape: QueryShape, dialect: str, chosen: Select[Any]) -> Select[Any]:
    """Scan the index of the sort order from the cursor on."""
    led = _indexed_conditions(shape)
    if shape.key == "id" and shape.in_list != "none" and dialect != SQLITE:
        return _range_scan(shape, led, chosen)
    key, last = task.c[shape.key], task.c.id
    order = _order(shape, task)
    if "tag_0" in led:
        chosen = _tagged(chosen)
        key = last = task_tag.c.task_id
        order = [_sorted(shape, key)]
    else:
        chosen = chosen.select_from(task)
        conditions = {
            "owner": _is_owned(task),
            "parent": _is_below(task),
            "list": _is_in_list(shape, task),
            "status": _has_status(shape, task),
        }
        chosen = chosen.where(*(conditions[name] for name in sorted(led & conditions.keys())))
    if "list" in led and shape.in_list == "none":
        # PostgreSQL does not infer from IS NULL that the leading column of the index is constant.
        order.insert(0, _sorted(shape, task.c.list_id))
    if shape.sort == "due" and shape.due == "window":
        chosen = chosen.where(
            key >= bindparam("key_from", type_=Time), key < bindparam("key_to", type_=Time)
        )
    if "updated" in led and shape.updated:
        chosen = chosen.where(_is_updated(task))
    if shape.after:
        chosen = chosen.where(_after(shape, key, last))
    return chosen.order_by(*order)


def _range_scan(shape: QueryShape, led: frozenset[str], chosen: Select[Any]) -> Select[Any]:
    """Scan an index that ends with the ID, on PostgreSQL.

    If the leading columns are compared for equality, PostgreSQL sorts by ID only. It may then scan
    the primary key and discard the rows of other owners, in the worst case the whole table.
    A range over the whole key selects the same rows, but only the intended index has its order.
    """
    last: ColumnElement[Any] = task.c.id
    leading: dict[ColumnElement[Any], ColumnElement[Any]] = {task.c.owner: bindparam("owner")}
    if "tag_0" in led:
        chosen = chosen.select_from(task_tag.join(task, task_tag.c.task_id == task.c.id))
        leading = {task_tag.c.owner: bindparam("owner"), task_tag.c.tag: bindparam("tag_0")}
        last = task_tag.c.task_id
    else:
        chosen = chosen.select_from(task)
    if "parent" in led:
        leading = {task.c.parent_id: bindparam("parent_id", type_=Id)}
        # An expression without an index, so that PostgreSQL does not combine two indexes.
        chosen = chosen.where(task.c.owner.op("||")(literal_column("''")) == bindparam("owner"))
    elif "list" in led:
        # Of the indexes that start with the owner, only one continues with the list and the ID.
        leading = {task.c.list_id: bindparam("list_id", type_=Id)}
        chosen = chosen.where(_is_owned(task))
    elif "status" in led:
        chosen = chosen.where(_has_status(shape, task))
    place = tuple_(*leading, last)
    ends = [tuple_(*leading.values(), literal_column(f"'{UUID(int=end)}'", Id)) for end in _ENDS]
    within = [place >= ends[0], place <= ends[1]]
    if shape.after:
        after = tuple_(*leading.values(), bindparam("after_id", type_=Id))
        within[1 if shape.descending else 0] = place < after if shape.descending else place > after
    return chosen.where(*within).order_by(*(_sorted(shape, c) for c in (*leading, last)))


def _sorted(shape: QueryShape, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column.desc() if shape.descending else column.asc()


def _tagged(chosen: Select[Any]) -> Select[Any]:
    return chosen.select_from(task.join(task_tag, task_tag.c.task_id == task.c.id)).where(
        task_tag.c.owner == bindparam("owner"), task_tag.c.tag == bindparam("tag_0")
    )


def _after(
    shape: QueryShape, key: ColumnElement[Any], last: ColumnElement[Any]
) -> ColumnElement[bool]:
    last_id = bindparam("after_id", type_=Id)
    if shape.key == "id":
        return last < last_id if shape.descending else last > last_id
    here = tuple_(key, last)
    there = tuple_(bindparam("after_key", type_=key.type), last_id)
    return here < there if shape.descending else here > there


def _residual_filter(
    shape: QueryShape, source: FromClause, dialect: str, led: frozenset[str]
) -> list[ColumnElement[bool]]:
    """Return the conditions that the index does not cover, to be checked for each row."""
    rest: list[ColumnElement[bool]] = []
    if "owner" not in led:
        rest.append(_is_owned(source))
    if shape.status is not None and "status" not in led:
        rest.append(_has_status(shape, source))
    if shape.in_list != "any" and "list" not in led:
        rest.append(_is_in_list(shape, source))
    if shape.parent and "parent" not in led:
        rest.append(_is_below(source))
    if shape.priority:
        rest.append(source.c.priority == bindparam("priority"))
    if shape.due == "window":
        rest.append(_in_window(source))
    elif shape.due == "none":
        rest += [source.c.due_date.is_(None), source.c.due_at.is_(None)]
    if shape.updated and "updated" not in led:
        rest.append(_is_updated(source))
    rest += [
        _has_tag(source, f"tag_{number}")
        for number in range(shape.tags)
        if f"tag_{number}" not in led
    ]
    if shape.search:
        # The index of terms only finds candidates.
        rest.append(has_words(dialect, source))
    return rest


def _is_owned(source: FromClause) -> ColumnElement[bool]:
    return source.c.owner == bindparam("owner")


def _is_below(source: FromClause) -> ColumnElement[bool]:
    return source.c.parent_id == bindparam("parent_id", type_=Id)


def _is_in_list(shape: QueryShape, source: FromClause) -> ColumnElement[bool]:
    if shape.in_list == "none":
        return source.c.list_id.is_(None)
    return source.c.list_id == bindparam("list_id", type_=Id)


def _has_status(shape: QueryShape, source: FromClause) -> ColumnElement[bool]:
    done = source.c.completed_at
    return done.is_(None) if shape.status == "open" else done.is_not(None)


def _is_updated(source: FromClause) -> ColumnElement[bool]:
    return source.c.updated_at >= bindparam("updated_since", type_=Time)


def _has_tag(source: FromClause, name: str) -> ColumnElement[bool]:
    # Not EXISTS, which PostgreSQL may turn into a join that reads all tasks of the tag.
    found = select(literal(1)).where(
        task_tag.c.owner == bindparam("owner"),
        task_tag.c.tag == bindparam(name),
        task_tag.c.task_id == source.c.id,
    )
    return found.limit(1).scalar_subquery().is_not(None)


def _in_window(source: FromClause) -> ColumnElement[bool]:
    def between(name: str, kind: Any, first: str, end: str) -> ColumnElement[bool]:  # noqa: ANN401
        column = source.c[name]
        return and_(column >= bindparam(first, type_=kind), column < bindparam(end, type_=kind))

    return or_(
        between("due_date", Day, "date_from", "date_to"),
        between("due_at", Time, "at_from", "at_to"),
    )
