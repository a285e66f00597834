"""Runs: summaries of the changes of one user with one token and one `X-Run-Id`.

A page reads at most SCAN_BUDGET entries, and at most MAX_CHANGES of each run found in them. So the
load of a request is bounded, however long a journal or a run is.
"""

from collections import Counter
from functools import partial
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
)

from todo.core.caller import Caller
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.db.statement import SQLITE, Row, Statement
from todo.db.tables import api_token, journal
from todo.journal.irreversible import UNDOABLE
from todo.journal.repository import MAX_SEQ, SCAN_BUDGET, View, is_about_list, list_params

MAX_CHANGES = 1000
"""Maximum number of a run's changes that are shown, and that one undo reverts."""

_OWNER: ColumnElement[str] = bindparam("owner")
_BEFORE: ColumnElement[int] = bindparam("before")
_ENTRY = journal.alias("e")


async def read_runs(
    session: Session, caller: Caller, view: View, before: int | None, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Return runs, latest changes first, and the value of `before` for the next page, if any.

    `before` is the exclusive upper limit for the number of a run's latest entry. Names of tokens
    are omitted if the caller's token is restricted to one list.
    """
    values = {
        "owner": view.owner,
        "user": None if caller.list_id else caller.user,
        "before": MAX_SEQ if before is None else before,
        **list_params(view),
    }
    page, boundary = _STATEMENTS[view.list_id is not None, view.is_own]
    rows, looked_at = await session.run((page, {**values, "limit": limit + 1}), (boundary, values))
    # A run without operations has no changes of the list.
    items = [_read(row) for row in rows[:limit] if row[-2] is not None]
    if len(rows) > limit:
        return items, int(rows[limit - 1][3])
    return items, int(looked_at[0][0]) if looked_at else None


def _read(row: Row) -> dict[str, Any]:
    run_id, actor, token_id, seq, name, agent, model, began, ended, operations, is_undone = row
    counts = Counter(operations.split(","))
    kinds = [(*what.split(), count) for what, count in counts.most_common()]
    changes = sum(counts.values())
    can_be_undone = changes <= MAX_CHANGES and any(kind in UNDOABLE for _, kind, _ in kinds)
    return {
        "run_id": run_id,
        "actor": actor,
        "token_id": token_id and str(token_id),
        "token_name": name,
        "agent": agent,
        "model": model,
        "first_at": _show_time(began),
        "last_at": _show_time(ended),
        "last_seq": int(seq),
        "changes": min(changes, MAX_CHANGES),
        "has_more_changes": changes > MAX_CHANGES,
        "summary": [
            {"operation": operation, "kind": kind, "count": count}
            for operation, kind, count in kinds
        ],
        "is_undone": bool(is_undone) and can_be_undone,
    }


def _show_time(at: Any) -> str:  # noqa: ANN401 - type depends on the driver
    return at if isinstance(at, str) else format_timestamp(at)


def render_runs(items: list[dict[str, Any]], following: int | None) -> bytes:
    """Return a page of runs as JSON."""
    return orjson.dumps({"items": items, "next_before": following})


def _select_runs(dialect: str, *, in_list: bool, is_own: bool) -> Select[Any]:
    recent = _select_recent(journal).limit(SCAN_BUDGET).subquery("j")
    key = (recent.c.run_id, recent.c.actor, recent.c.token_id)
    found = (
        select(*key, func.max(recent.c.seq).label("seq"))
        .where(recent.c.run_id.is_not(None), _is_change(recent))
        .group_by(*key)
        .subquery("g")
    )
    # A run with a newer entry was on an earlier page. `EXISTS` would read all newer entries.
    newest = _select_run(found).with_only_columns(_ENTRY.c.seq).order_by(_ENTRY.c.seq.desc())
    is_first = newest.limit(1).scalar_subquery() == found.c.seq
    page = select(found).where(is_first).order_by(found.c.seq.desc()).limit(bindparam("limit"))
    run = page.subquery("r")
    # Limited before filtering: of a long run, only few entries may be about the list.
    shown = _select_run(run).order_by(_ENTRY.c.seq).limit(MAX_CHANGES + 1).subquery("c")
    if in_list:
        inside = is_about_list(dialect, shown, is_own=is_own)
        shown = select(shown).where(inside).subquery("d")
    return _describe(dialect, run, shown)


def _select_recent(source: FromClause) -> Select[Any]:
    before = and_(source.c.owner == _OWNER, source.c.seq < _BEFORE)
    return select(source).where(before).order_by(source.c.seq.desc())


def _select_boundary() -> Select[Any]:
    looked_at = _select_recent(journal).limit(1).offset(SCAN_BUDGET - 1).subquery("b")
    return select(looked_at.c.seq)


def _select_run(run: FromClause) -> Select[Any]:
    """Return the statement that reads a run's changes, correlated with an enclosing statement."""
    of_run = and_(
        _ENTRY.c.owner == _OWNER,
        _ENTRY.c.run_id == run.c.run_id,
        _ENTRY.c.actor == run.c.actor,
        _ENTRY.c.token_id.is_not_distinct_from(run.c.token_id),
    )
    return select(_ENTRY).where(of_run, _is_change(_ENTRY)).correlate(run)


def _is_change(entry: FromClause) -> ColumnElement[bool]:
    return entry.c.operation != literal_column("'remind'")


def _describe(dialect: str, run: FromClause, shown: FromClause) -> Select[Any]:
    last = journal.alias("l")
    name = (
        select(api_token.c.name)
        .where(api_token.c.id == run.c.token_id, api_token.c.owner == bindparam("user"))
        .scalar_subquery()
    )
    words = shown.c.operation + literal_column("' '") + shown.c.kind
    join = func.group_concat if dialect == SQLITE else func.string_agg
    return (
        select(
            *(run.c.run_id, run.c.actor, run.c.token_id, run.c.seq, name),
            *(last.c.agent, last.c.model),
            select(func.min(shown.c.at)).scalar_subquery(),
            last.c.at,
            select(join(words, literal_column("','"))).scalar_subquery(),
            _is_undone(dialect, shown),
        )
        .select_from(run.join(last, and_(last.c.owner == _OWNER, last.c.seq == run.c.seq)))
        .order_by(run.c.seq.desc())
    )


def _is_undone(dialect: str, shown: FromClause) -> ColumnElement[bool]:
    """Return the condition that all undoable changes of a run are reverted.

    An entity counts as reverted if it has its state from before the run. It also does if an undo
    restored that state and no later undo restored its state from after the run, whatever else has
    changed it since.
    """
    thing = (shown.c.kind, shown.c.entity_id, _find_list_of_share(shown))
    nth = func.row_number().over(partition_by=thing, order_by=shown.c.seq).label("nth")
    left = (
        func.last_value(shown.c.after)
        .over(partition_by=thing, order_by=shown.c.seq, rows=(None, None))
        .label("left_as")
    )
    change, latest = select(shown, nth, left).subquery("f"), journal.alias("s")
    of_thing = (
        select()
        .where(
            latest.c.owner == _OWNER,
            latest.c.entity_id == change.c.entity_id,
            latest.c.kind == change.c.kind,
            _find_list_of_share(latest).is_not_distinct_from(_find_list_of_share(change)),
            _is_change(latest),
        )
        .order_by(latest.c.seq.desc())
        .limit(1)
    )
    before, found = _state(dialect, change.c.before), _state(dialect, latest.c.after)
    is_as_before = found.is_not_distinct_from(before)
    undos = of_thing.where(
        latest.c.seq > change.c.seq,
        latest.c.operation == literal_column("'restore'"),
        or_(is_as_before, found.is_not_distinct_from(_state(dialect, change.c.left_as))),
    )
    one: ColumnElement[int] = literal_column("1")
    zero: ColumnElement[int] = literal_column("0")
    is_taken_back = case((is_as_before, one), else_=zero)
    decided, now = (each.add_columns(is_taken_back).scalar_subquery() for each in (undos, of_thing))
    kinds: list[ColumnElement[str]] = [literal_column(f"'{kind}'") for kind in sorted(UNDOABLE)]
    undoable = and_(change.c.nth == one, change.c.kind.in_(kinds))
    return ~exists().where(undoable, now == zero, func.coalesce(decided, zero) == zero)


def _find_list_of_share(entry: FromClause) -> ColumnElement[Any]:
    # A user can have shares of several lists, whereas a task has an ID and may change its list.
    return case((entry.c.kind == literal_column("'share'"), entry.c.list_id), else_=null())


def _state(dialect: str, document: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the part of a document that an undo restores: everything except its version."""
    if dialect == SQLITE:
        return func.json_remove(document, literal_column("'$.version'"))
    return document.op("::")(literal_column("jsonb")).op("-")(literal_column("'version'"))


_BOUNDARY = Statement(_select_boundary())
_STATEMENTS = {
    (in_list, is_own): (Statement(partial(_select_runs, in_list=in_list, is_own=is_own)), _BOUNDARY)
    for in_list in (False, True)
    for is_own in (False, True)
}
