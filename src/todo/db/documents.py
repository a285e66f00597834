"""Documents: the JSON text of a task, a list or a share, which the database renders.

So a read needs no conversion, and all readers get the same text: callers, the journal, stored
responses, an export.
"""

from collections.abc import Callable, Sequence
from typing import Any

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

from todo.db.statement import SQLITE
from todo.db.tables import PRIORITIES, list_share, task, task_list

Refine = Callable[[Select[Any]], Select[Any]]

TASK_FIELDS = (
    "id",
    "owner",
    "list_id",
    "parent_id",
    "title",
    "description",
    "priority",
    "tags",
    "due_date",
    "due_at",
    "due_zone",
    "recurrence",
    "recurrence_from",
    "reminders",
    "position",
    "is_completed",
    "completed_at",
    "created_at",
    "updated_at",
    "previous_id",
    "version",
)
LIST_FIELDS = ("id", "owner", "name", "position", "created_at", "updated_at", "version")
SHARE_FIELDS = ("list_id", "user_id", "access", "created_at")
CONVERSATION_FIELDS = ("id", "owner", "list_id", "title", "created_at", "updated_at")
"""Of an export: a plan that waits is not exported."""
MESSAGE_FIELDS = (
    *("id", "conversation_id", "role", "status", "content", "tool_calls", "run_id", "changed"),
    *("degraded_reason", "prompt_tokens", "output_tokens", "created_at"),
)
"""Likewise."""
_FIELDS = {task.name: TASK_FIELDS, task_list.name: LIST_FIELDS, list_share.name: SHARE_FIELDS}
_ARRAYS = {"tags", "reminders"}
_TIMES = {"due_at", "completed_at", "created_at", "updated_at"}
_TIME_FORMAT: ColumnElement[str] = literal_column("'YYYY-MM-DD\"T\"HH24:MI:SS.USTZH:TZM'")


def select_document(
    dialect: str,
    source: FromClause,
    refine: Refine,
    fields: Sequence[str] = TASK_FIELDS,
    extra: Sequence[ColumnElement[Any]] = (),
) -> Select[Any]:
    """Select the documents of rows.

    Args:
        dialect: Name of the database's dialect.
        source: The table, or a query with its columns.
        refine: Adds conditions, order and limit.
        fields: Keys of the document, in order.
        extra: Columns that follow the document.
    """
    if dialect == SQLITE:
        return refine(select(_json_object(source, fields), *extra).select_from(source))
    shown = [_find(dialect, source, name).label(name) for name in fields]
    named = [column.label(f"extra_{at}") for at, column in enumerate(extra)]
    inner = refine(select(*shown, *named).select_from(source))
    if not named:
        rows = inner.subquery("r")
        return select(func.row_to_json(rows.table_valued()))
    rows = inner.subquery("r")
    # Of the same row: without this the rows would be read once more for each of them.
    document = select(*(rows.c[name] for name in fields)).correlate(rows).subquery("i")
    return select(
        select(func.row_to_json(document.table_valued())).scalar_subquery(),
        *(rows.c[column.name] for column in named),
    )


def return_document(dialect: str, change: Insert | Update | Delete, table: Table) -> Any:  # noqa: ANN401
    """Let a change return the document of each row that it touched."""
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
            # Not IS NOT NULL: in RETURNING, SQLite 3.40 answers that by the value before.
            value = func.json(
                case((func.coalesce(source.c.completed_at, "") == "", "false"), else_="true")
            )
        parts += [literal_column(f"'{name}'"), value]
    return func.json_object(*parts)


def show_time(dialect: str, time: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a time as JSON has it: with six digits of a second, as SQLite keeps it."""
    return time if dialect == SQLITE else func.to_char(time, _TIME_FORMAT)


def _find(dialect: str, source: FromClause, name: str) -> ColumnElement[Any]:
    if name in _TIMES:
        return show_time(dialect, source.c[name])
    if name == "is_completed":
        return source.c.completed_at.is_not(None)
    if name == "priority":
        # Literals: a parameter for each rank would be bound again by each read.
        words: list[tuple[ColumnElement[bool], ColumnElement[str]]] = [
            (source.c.priority == literal_column(str(rank)), literal_column(f"'{word}'"))
            for rank, word in enumerate(PRIORITIES)
        ]
        return case(*words)
    return source.c[name]
