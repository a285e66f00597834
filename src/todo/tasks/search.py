"""Search: SQL conditions on the stored words of tasks, the same on both databases.

An index of terms, PostgreSQL's GIN or SQLite's FTS5, finds the tasks of an owner that may match;
their searched text decides. So the same words find the same tasks on both, in the same order.
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
    """Return the parameters of the conditions: `terms` and `pieces`."""
    terms = [Term(owner_term(owner)), *query.terms]
    if dialect == SQLITE:
        expression = " ".join(f'"{each.text}"{"*" if each.is_prefix else ""}' for each in terms)
    else:
        expression = " & ".join(f"'{each.text}'{':*' if each.is_prefix else ''}" for each in terms)
    return {"terms": expression, "pieces": orjson.dumps(query.pieces).decode()}


def may_match(dialect: str, limit: int) -> ColumnElement[bool]:
    """Return whether a task of `owner` has the `terms`, as the index of terms finds it.

    Args:
        dialect: Name of the database's dialect.
        limit: Maximum number of tasks; SQLite's index returns no more.
    """
    owner: ColumnElement[str] = bindparam("owner")
    if dialect == SQLITE:
        matching = literal_column("task_words").op("MATCH")(bindparam("terms"))
        rows = select(_MATCHED.c.rowid).where(matching).limit(limit)
        ids = select(_NUMBERS.c.task_id).where(_NUMBERS.c.number.in_(rows))
        return and_(task.c.owner == owner, task.c.id.in_(ids))
    terms = cast(bindparam("terms"), TSQUERY)
    # An expression has no index: nothing else is combined with the one of terms.
    is_owned = task.c.owner.op("||")(literal_column("''")) == owner
    return and_(_TERMS.op("@@", is_comparison=True)(terms), is_owned)


def has_words(dialect: str, source: FromClause) -> ColumnElement[bool]:
    """Return whether the searched text of a task that was read already has all `pieces`."""
    piece = _pieces(dialect)
    missing = select(literal(1)).where(_find(dialect, source, piece) == literal_column("0"))
    return missing.limit(1).scalar_subquery().is_(None)


def rank(dialect: str, source: FromClause) -> ColumnElement[Any]:
    """Return the number of the words in the title, for a task that has all of them."""
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
    """Return the place of a piece in the searched text; 0 if it does not occur."""
    place = func.instr if dialect == SQLITE else func.strpos
    found: ColumnElement[int] = place(source.c.words, piece)
    return found
