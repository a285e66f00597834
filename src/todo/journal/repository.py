"""SQL statements that read journals, and the choice of the journal that a caller may read.

The database renders the JSON, as for documents. Only this module decides which parts of an entry
`changes` and `history` show. A page with conditions that no index covers reads at most SCAN_BUDGET
entries, and may be short.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    FromClause,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.core.caller import Caller
from todo.core.errors import NotFoundError
from todo.core.validation_errors import field_error
from todo.db.documents import as_bytes, show_time
from todo.db.session import Session
from todo.db.statement import SQLITE, Row, Statement
from todo.db.tables import Id, journal
from todo.tasks.repository import TaskRepository
from todo.writes.account_lock import ACCOUNT_VERSION, find_account_version

SCAN_BUDGET = 2000
MAX_PAGE_BYTES = 2 * 1024 * 1024
"""Size in bytes at which a page of changes ends early: a thousand changes could have 40 MB."""
STEP = 100
"""Number of changes that are read before their size is checked."""
MAX_SEQ = 2**63 - 1

_CHANGE_KEYS = ("seq", "at", "operation", "kind", "id", "after")
_ENTRY_KEYS = (
    *("seq", "at", "actor", "token_id", "agent", "model", "run_id", "operation", "kind", "id"),
    *("list_id", "before", "after"),
)
_SNAPSHOTS = {"before", "after"}
_OWNER = journal.c.owner == bindparam("owner")
_LIST = bindparam("list_id", type_=Id)
_TOKEN: ColumnElement[str] = bindparam("token_id", type_=Id)
# The field `list_id` as it appears in a document; unambiguous, as quotes in strings are escaped.
_MARK: ColumnElement[str] = bindparam("list_mark")


@dataclass(frozen=True, slots=True)
class View:
    """Part of a journal that a caller may read.

    Attributes:
        owner: Owner of the journal.
        list_id: ID of the only list in the view; None for the whole journal.
        is_own: Whether the journal is the caller's own.
    """

    owner: str
    list_id: str | None = None
    is_own: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """Change as followers of a journal receive it, with its JSON as `data`."""

    seq: int
    operation: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """Page of changes, and the number of the entry after which the next page starts."""

    items: list[Change]
    next_since: int
    has_more: bool

    def render(self) -> bytes:
        """Return the page as JSON."""
        items = b",".join(change.data for change in self.items)
        more = b"true" if self.has_more else b"false"
        return b'{"items":[%b],"next_since":%d,"has_more":%b}' % (items, self.next_since, more)


@dataclass(frozen=True, slots=True)
class Filter:
    """Filter of journal entries; None matches any value. `entity` is the ID of a changed entity."""

    entity: str | None = None
    run_id: str | None = None
    token_id: str | None = None
    actor: str | None = None


async def find_view(session: Session, caller: Caller, asked: UUID | None) -> View:
    """Return the part of a journal that a request reads.

    It is limited to the list `asked` or, by default, to the list of the caller's token. Without
    either, it is the caller's own journal.

    Raises:
        NotFoundError: The list does not exist, or the caller cannot see it.
    """
    list_id = caller.list_id if asked is None else str(asked)
    if list_id is None:
        return View(caller.user)
    found = await TaskRepository(session, caller).find_list(list_id)
    if found is None:
        raise NotFoundError
    return View(found[0], list_id, found[0] == caller.user)


find_head = find_account_version
"""Return the number of a journal's latest entry, which is the version of its account."""


async def read_changes(session: Session, view: View, since: int, limit: int) -> Changes:
    """Return the changes after the entry `since`, oldest first.

    A page has at most `limit` changes, and fewer if they are large.

    Raises:
        ValidationFailedError: `since` is after the end of the journal.
    """
    items: list[Change] = []
    size = 0
    while True:
        step = min(limit - len(items), STEP)
        found = await _read_step(session, view, since, step)
        items += found.items
        size += sum(len(change.data) for change in found.items)
        # A step that is not full has read SCAN_BUDGET entries.
        is_full = len(found.items) == step
        if not found.has_more or not is_full or len(items) == limit or size >= MAX_PAGE_BYTES:
            return Changes(items, found.next_since, found.has_more)
        since = found.next_since


async def _read_step(session: Session, view: View, since: int, limit: int) -> Changes:
    of_owner = {"owner": view.owner}
    until = min(since + SCAN_BUDGET, MAX_SEQ)
    values = of_owner | {"since": since, "until": until, "limit": limit + 1, **list_params(view)}
    heads, rows = await session.run((ACCOUNT_VERSION, of_owner), (_changes(view), values))
    head = int(heads[0][0]) if heads else 0
    if since > head:
        message = f"the journal ends at {head}"
        raise field_error("since", message, place="query", code="after_head")
    items = [_read_change(row) for row in rows[:limit]]
    if len(rows) > limit:
        return Changes(items, items[-1].seq, has_more=True)
    # Sequence numbers have no gaps, so the last number that was read can be computed. Entries may
    # have been added after the head was read.
    last = max([min(head, until), *(change.seq for change in items[-1:])])
    return Changes(items, last, has_more=last < head)


async def read_history(
    session: Session, view: View, wanted: Filter, before: int | None, limit: int
) -> tuple[list[bytes], int | None]:
    """Return entries, newest first, and the value of `before` for the next page, None at the end.

    `before` is the exclusive upper limit of the sequence numbers.
    """
    shape = _Shape(
        entity=wanted.entity is not None,
        run=wanted.run_id is not None,
        token=wanted.token_id is not None,
        actor=wanted.actor is not None,
        in_list=view.list_id is not None,
        is_own=view.is_own,
    )
    values = {
        "owner": view.owner,
        "entity": wanted.entity,
        "run_id": wanted.run_id,
        "token_id": wanted.token_id,
        "actor": wanted.actor,
        "before": MAX_SEQ if before is None else before,
        **list_params(view),
    }
    page, boundary = _history(shape)
    rows, looked_at = await session.run((page, {**values, "limit": limit + 1}), (boundary, values))
    items = [as_bytes(row[0]) for row in rows[:limit]]
    if len(rows) > limit:
        return items, int(rows[limit - 1][1])
    return items, int(looked_at[0][0]) if looked_at else None


def list_params(view: View) -> dict[str, Any]:
    """Return the SQL parameters of a condition on the list of a view."""
    if view.list_id is None:
        return {}
    return {"list_id": view.list_id, "list_mark": f'"list_id":"{view.list_id}"'}


def _read_change(row: Row) -> Change:
    data, seq, operation = row
    return Change(int(seq), operation, as_bytes(data))


def _changes(view: View) -> Statement:
    if view.list_id is None:
        return _ALL_CHANGES
    return _LIST_CHANGES if view.is_own else _SHARED_CHANGES


def _select_changes(dialect: str, *, in_list: bool, is_own: bool) -> Select[Any]:
    window = (journal.c.seq > bindparam("since")) & (journal.c.seq <= bindparam("until"))
    query = select(journal).where(_OWNER, window, journal.c.operation.is_not(None))
    if in_list:
        query = query.where(is_about_list(dialect, is_own=is_own))
    found = query.order_by(journal.c.seq).limit(bindparam("limit")).subquery("e")
    shown = _show(dialect, found, _CHANGE_KEYS, in_list=in_list)
    return shown.add_columns(found.c.seq, found.c.operation).order_by(found.c.seq)


_ALL_CHANGES = Statement(lambda d: _select_changes(d, in_list=False, is_own=True))
_LIST_CHANGES = Statement(lambda d: _select_changes(d, in_list=True, is_own=True))
_SHARED_CHANGES = Statement(lambda d: _select_changes(d, in_list=True, is_own=False))


@dataclass(frozen=True, slots=True)
class _Shape:
    """Shape of a history query: its conditions without their values."""

    entity: bool
    run: bool
    token: bool
    actor: bool
    in_list: bool
    is_own: bool


@lru_cache(128)
def _history(shape: _Shape) -> tuple[Statement, Statement]:
    """Return the statements that read a page, and the last entry within the scan budget."""
    return (
        Statement(lambda dialect: _select_history(shape, dialect)),
        Statement(lambda _dialect: _select_boundary(shape)),
    )


def _select_history(shape: _Shape, dialect: str) -> Select[Any]:
    looked_at = _scan_index(shape, select(journal)).limit(SCAN_BUDGET).subquery("j")
    query = select(looked_at).where(looked_at.c.operation.is_not(None))
    if shape.entity:
        query = query.where(looked_at.c.entity_id == bindparam("entity"))
    if shape.token:
        query = query.where(looked_at.c.token_id == _TOKEN)
    if shape.actor:
        query = query.where(looked_at.c.actor == bindparam("actor"))
    if shape.in_list:
        query = query.where(is_about_list(dialect, looked_at, is_own=shape.is_own))
    found = query.order_by(looked_at.c.seq.desc()).limit(bindparam("limit")).subquery("e")
    shown = _show(dialect, found, _ENTRY_KEYS, in_list=shape.in_list)
    return shown.add_columns(found.c.seq).order_by(found.c.seq.desc())


def _select_boundary(shape: _Shape) -> Select[Any]:
    looked_at = _scan_index(shape, select(journal.c.seq)).limit(1).offset(SCAN_BUDGET - 1)
    return select(looked_at.subquery("b").c.seq)


def _scan_index(shape: _Shape, chosen: Select[Any]) -> Select[Any]:
    """Scan the most selective index: by run, by token, by entity, or of the whole journal."""
    conditions = [_OWNER, journal.c.seq < bindparam("before")]
    if shape.run:
        conditions.append(journal.c.run_id == bindparam("run_id"))
    elif shape.token:
        conditions.append(journal.c.token_id == _TOKEN)
    elif shape.entity:
        conditions.append(journal.c.entity_id == bindparam("entity"))
    return chosen.where(*conditions).order_by(journal.c.seq.desc())


def is_about_list(
    dialect: str, source: FromClause = journal, *, is_own: bool
) -> ColumnElement[bool]:
    """Return the condition that an entry is about a list, or a task that is or was in it."""
    about = or_(source.c.list_id == _LIST, _says_list(dialect, source.c.before))
    if is_own:
        return about
    # Other users must not see with whom else the list is shared.
    return and_(about, source.c.kind.in_([literal_column("'task'"), literal_column("'list'")]))


def is_task_of_list(dialect: str) -> ColumnElement[bool]:
    """Return the condition that an entry is about a task in a list, before and after the change."""
    documents = (
        or_(document.is_(None), _says_list(dialect, document))
        for document in (journal.c.before, journal.c.after)
    )
    return and_(journal.c.kind == literal_column("'task'"), journal.c.list_id == _LIST, *documents)


def _says_list(dialect: str, document: ColumnElement[Any]) -> ColumnElement[bool]:
    place = func.instr(document, _MARK) if dialect == SQLITE else func.strpos(document, _MARK)
    return func.coalesce(place, 0) > 0


def _show(dialect: str, found: Subquery, keys: tuple[str, ...], *, in_list: bool) -> Select[Any]:
    """Return the statement that renders entries as JSON."""
    shown = {key: _find(dialect, found, key, in_list=in_list) for key in keys}
    if dialect == SQLITE:
        pairs: list[ColumnElement[Any]] = []
        for key, value in shown.items():
            is_json = key in _SNAPSHOTS
            pairs += [literal_column(f"'{key}'"), func.json(value) if is_json else value]
        return select(func.json_object(*pairs)).select_from(found)
    named = [
        (cast(value, JSON) if key in _SNAPSHOTS else value).label(key)
        for key, value in shown.items()
    ]
    # Correlated: otherwise, all rows would be read again for each row.
    row = select(*named).correlate(found).subquery("i")
    return select(select(func.row_to_json(row.table_valued())).scalar_subquery()).select_from(found)


def _find(dialect: str, found: Subquery, key: str, *, in_list: bool) -> ColumnElement[Any]:
    if key == "id":
        return found.c.entity_id
    if key == "at":
        return show_time(dialect, found.c.at)
    if key == "list_id" and in_list:
        # Members of this list must not learn to which list a task was moved.
        return case((found.c.list_id == _LIST, found.c.list_id), else_=null())
    if key in _SNAPSHOTS and in_list:
        # If a task was moved from or to another list, its state in that list is hidden.
        document = found.c[key]
        stays = or_(found.c.kind != literal_column("'task'"), _says_list(dialect, document))
        return case((stays, document), else_=null())
    return found.c[key]
