"""Documents: JSON texts of tasks, lists and shares, rendered by the database.

Reads need no conversion, and callers, journal, stored responses and exports get the same text.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Delete,
    FromClause,
    Insert,
    Select,
    Table,
    Update,
    case,
    func,
    literal_column,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.core.domain import PRIORITIES, Share, Snapshot, Task, TaskList, VisibleTaskList
from todo.db.statement import SQLITE
from todo.db.tables import list_share, task, task_list

Refine = Callable[[Select[Any]], Select[Any]]

TASK_FIELDS = tuple(Task.__annotations__)
LIST_FIELDS = tuple(TaskList.__annotations__)
VISIBLE_LIST_FIELDS = tuple(VisibleTaskList.__annotations__)
SHARE_FIELDS = tuple(Share.__annotations__)
CONVERSATION_FIELDS = ("id", "owner", "list_id", "title", "created_at", "updated_at")
"""Fields of a conversation in an export; pending plans are not exported."""
MESSAGE_FIELDS = (
    *("id", "conversation_id", "role", "status", "content", "tool_calls", "run_id", "changed"),
    *("degraded_reason", "prompt_tokens", "output_tokens", "created_at"),
)
"""Fields of a message in an export."""
_FIELDS = {task.name: TASK_FIELDS, task_list.name: LIST_FIELDS, list_share.name: SHARE_FIELDS}
_ARRAYS = {"tags", "reminders"}
_TIMES = {"due_at", "completed_at", "created_at", "updated_at"}
_TIME_FORMAT: ColumnElement[str] = literal_column("'YYYY-MM-DD\"T\"HH24:MI:SS.USTZH:TZM'")


class StoredDocument(NamedTuple):
    """Document of a task or list, with its ID and its version for the entity tag."""

    id: str
    version: int
    body: bytes


def select_document(
    dialect: str,
    source: FromClause,
    refine: Refine,
    fields: Sequence[str] = TASK_FIELDS,
    extra: Sequence[ColumnElement[Any]] = (),
    *,
    repeated: Sequence[str] = (),
) -> Select[Any]:
    """Select the documents of rows.

    Args:
        dialect: Name of the database dialect.
        source: Table, or query with the columns of the table.
        refine: Adds conditions, order and limit.
        fields: Keys of the document, in order.
        extra: Further columns.
        repeated: Fields of the document that are also selected as columns, before `extra`.
    """
    if dialect == SQLITE:
        again = (_find(SQLITE, source, name) for name in repeated)
        return refine(select(_json_object(source, fields), *again, *extra).select_from(source))
    shown = [_find(dialect, source, name).label(name) for name in fields]
    named = [column.label(f"extra_{at}") for at, column in enumerate(extra)]
    inner = refine(select(*shown, *named).select_from(source))
    if not named:
        rows = inner.subquery("r")
        again = (rows.c[name] for name in repeated)
        return select(func.row_to_json(rows.table_valued()), *again)
    rows = inner.subquery("r")
    # Correlated with the row: otherwise the rows would be read again for each document.
    document = select(*(rows.c[name] for name in fields)).correlate(rows).subquery("i")
    return select(
        select(func.row_to_json(document.table_valued())).scalar_subquery(),
        *(rows.c[name] for name in repeated),
        *(rows.c[column.name] for column in named),
    )


def return_document(dialect: str, change: Insert | Update | Delete, table: Table) -> Any:  # noqa: ANN401
    """Make a change return the document of each changed row."""
    fields = _FIELDS[table.name]
    if dialect == SQLITE:
        return change.returning(_json_object(table, fields))
    return select_document(dialect, change.returning(table).cte("changed"), lambda s: s, fields)


def _json_object(source: FromClause, fields: Sequence[str]) -> ColumnElement[Any]:
    parts: list[ColumnElement[Any]] = []
    for name in fields:
        value = _find(SQLITE, source, name)
        if name in _ARRAYS:
            value = func.json(value)
        elif name == "is_completed":
            # Not IS NOT NULL: in RETURNING, SQLite 3.40 evaluates that with the old value.
            value = func.json(
                case((func.coalesce(source.c.completed_at, "") == "", "false"), else_="true")
            )
        parts += [literal_column(f"'{name}'"), value]
    return func.json_object(*parts)


def show_time(dialect: str, time: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a time in its JSON format: with microseconds, as SQLite stores it."""
    return time if dialect == SQLITE else func.to_char(time, _TIME_FORMAT)


def _find(dialect: str, source: FromClause, name: str) -> ColumnElement[Any]:
    if name in _TIMES:
        return show_time(dialect, source.c[name])
    if name == "is_completed":
        return source.c.completed_at.is_not(None)
    if name == "priority":
        # Literals, because parameters would be bound again for each read.
        words: list[tuple[ColumnElement[bool], ColumnElement[str]]] = [
            (source.c.priority == literal_column(str(rank)), literal_column(f"'{word}'"))
            for rank, word in enumerate(PRIORITIES)
        ]
        return case(*words)
    return source.c[name]


def as_bytes(document: bytes | str) -> bytes:
    """Return a document as bytes; SQLite returns text."""
    return document if isinstance(document, bytes) else document.encode()


def parse_task(document: bytes | str) -> Task:
    """Parse the document of a task, which contains only the selected fields."""
    task: Task = orjson.loads(document)
    return task


def parse_list(document: bytes | str) -> TaskList:
    """Parse the document of a list."""
    task_list: TaskList = orjson.loads(document)
    return task_list


def parse_visible_list(document: bytes | str) -> VisibleTaskList:
    """Parse the document of a list with the caller's access."""
    task_list: VisibleTaskList = orjson.loads(document)
    return task_list


def parse_share(document: bytes | str) -> Share:
    """Parse the document of a share."""
    share: Share = orjson.loads(document)
    return share


def parse_snapshot(kind: str, document: bytes | str | None) -> Snapshot | None:
    """Parse the task, list or share in a journal entry; return None without one."""
    if document is None:
        return None
    match kind:
        case "task":
            return parse_task(document)
        case "list":
            return parse_list(document)
        case "share":
            return parse_share(document)
        case _:
            return None
