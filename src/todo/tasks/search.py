"""Full-text search: SQL conditions on the stored search words of tasks.

An index of terms (PostgreSQL's GIN, SQLite's FTS5) finds candidates, whose stored words are then
compared. So both databases find the same tasks, in the same order.
"""

from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    FromClause,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.sql.elements import ColumnElement

from todo.db.statement import SQLITE
from todo.db.tables import task
from todo.text.search_words import OWNER_MARK, Term, WordQuery, owner_term

# The expression of the index ix_task_search.
_TERMS: ColumnElement[Any] = literal_column(
    "array_to_tsvector(string_to_array(btrim(task.words), ' '))"
)
_NUMBERS = table("task_search", column("number"), column("task_id"))
_MATCHED = table("task_words", column("rowid"))


def search_params(dialect: str, owner: str, query: WordQuery) -> dict[str, str]:
    """Return the SQL parameters of a search: `terms` and `pieces`."""
    terms = [Term(owner_term(owner)), *query.terms]
    if dialect == SQLITE:
        expression = " ".join(f'"{each.text}"{"*" if each.is_prefix else ""}' for each in terms)
    else:
        expression = " & ".join(f"'{each.text}'{':*' if each.is_prefix else ''}" for each in terms)
    return {"terms": expression, "pieces": orjson.dumps(query.pieces).decode()}


def may_match(dialect: str, limit: int) -> ColumnElement[bool]:
    """Return the condition that the index finds all `terms` in a task of `owner`.

    On SQLite, it matches at most `limit` tasks.
    """
    owner: ColumnElement[str] = bindparam("owner")
    if dialect == SQLITE:
        matching = literal_column("task_words").op("MATCH")(bindparam("terms"))
        rows = select(_MATCHED.c.rowid).where(matching).limit(limit)
        ids = select(_NUMBERS.c.task_id).where(_NUMBERS.c.number.in_(rows))
        return and_(task.c.owner == owner, task.c.id.in_(ids))
    terms = cast(bindparam("terms"), TSQUERY)
    # An expression without an index, so that PostgreSQL does not combine two indexes.
    is_owned = task.c.owner.op("||")(literal_column("''")) == owner
    return and_(_TERMS.op("@@", is_comparison=True)(terms), is_owned)


def has_words(dialect: str, source: FromClause) -> ColumnElement[bool]:
    """Return the condition that the stored words of a task contain all `pieces`."""
    piece = _pieces(dialect)
    missing = select(literal(1)).where(_find(dialect, source, piece) == literal_column("0"))
    return missing.limit(1).scalar_subquery().is_(None)


def rank(dialect: str, source: FromClause) -> ColumnElement[Any]:
    """Return an expression for the number of `pieces` that occur in a task's title."""
    piece = _pieces(dialect)
    title_end = _find(dialect, source, literal(f" {OWNER_MARK}"))
    in_title = _find(dialect, source, piece) < title_end
    return select(func.count()).select_from(piece.table).where(in_title).scalar_subquery()


def _pieces(dialect: str) -> ColumnElement[str]:
    if dialect == SQLITE:
        return func.json_each(bindparam("pieces")).table_valued("value").c.value
    pieces = func.json_array_elements_text(cast(bindparam("pieces"), JSON))
    return pieces.table_valued("value").c.value


def _find(dialect: str, source: FromClause, piece: ColumnElement[str]) -> ColumnElement[int]:
    """Return an expression for the position of a piece in the stored words, 0 if missing."""
    place = func.instr if dialect == SQLITE else func.strpos
    found: ColumnElement[int] = place(source.c.words, piece)
    return found
