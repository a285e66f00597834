"""Full-text search: PostgreSQL's tsvector, SQLite's FTS5.

The same words find the same tasks on both: whole words, the last one also as a beginning, without
regard to case; title and description together. Ranking differs.
"""

import unicodedata
from typing import Any

from sqlalchemy import (
    FromClause,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import NamedFromClause

from todo.models import task
from todo.sql import SQLITE

MAX_WORDS = 10
_VECTOR_COLUMN = "vector"


# Without punctuation PostgreSQL takes nothing for an address, a path or a markup, which would be
# one word.
_WORDS_OF = (
    "to_tsvector('simple'::regconfig,"
    " translate({0}.title || ' ' || coalesce({0}.description, ''),"
    " '!\"#$%&''()*+,-./:;<=>?@[\\]^_`{{|}}~', repeat(' ', 32)))"
)
# The expression of the index ix_task_search; the owner is one more word, so that the index
# alone finds an owner's matches. It begins as no word does, so that nobody finds it.
_VECTOR: ColumnElement[Any] = literal_column(
    f"({_WORDS_OF.format('task')} || array_to_tsvector(ARRAY[':' || md5(task.owner)]))"
)
_QUERY = func.to_tsquery(literal_column("'simple'::regconfig"), bindparam("words"))
_OWNER = cast(
    func.quote_literal(literal_column("':'").op("||")(func.md5(bindparam("owner")))), TSQUERY
)

_SEARCH = table("task_search", column("number"), column("task_id"))
_MATCHED = table("task_words", column("rowid"))
_MATCH = literal_column("task_words").op("MATCH")(bindparam("words"))


def split_words(query: str) -> list[str]:
    """Return the words of a query; none where it has none."""
    parts = "".join(char if _is_of_word(char) else " " for char in query).split()
    return [part for part in parts if any(map(str.isalnum, part))][:MAX_WORDS]


def _is_of_word(char: str) -> bool:
    """Whether a character is a letter, a digit, or a mark on one, such as a vowel sign."""
    return char.isalnum() or unicodedata.category(char).startswith("M")


def render_words(dialect: str, words: list[str]) -> str:
    """Return the parameter `words` of a statement: each word, the last as a beginning."""
    if dialect == SQLITE:
        return " ".join(f'"{word}"' for word in words) + "*"
    return " & ".join(f"'{word}'" for word in words) + ":*"


def matches(dialect: str) -> ColumnElement[bool]:
    """Whether a task of `owner` has the `words`, as the index of words answers it."""
    if dialect == SQLITE:
        return and_(task.c.owner == bindparam("owner"), has_words(dialect, task))
    return _VECTOR.op("@@", is_comparison=True)(_OWNER.op("&&")(_QUERY))


def has_words(dialect: str, source: FromClause) -> ColumnElement[bool]:
    """Whether a task that was read already has the `words`."""
    if dialect == SQLITE:
        numbers = select(_MATCHED.c.rowid).where(_MATCH)
        return source.c.id.in_(select(_SEARCH.c.task_id).where(_SEARCH.c.number.in_(numbers)))
    return _words_of(source).op("@@", is_comparison=True)(_QUERY)


def rank(dialect: str, source: FromClause) -> ColumnElement[Any]:
    """How well a task that was read already matches; more is better."""
    if dialect == SQLITE:
        # A word in the title counts for four in the description.
        return (
            select(literal_column("-bm25(task_words, 4.0, 1.0)"))
            .select_from(_MATCHED.join(_SEARCH, _SEARCH.c.number == _MATCHED.c.rowid))
            .where(_MATCH, _SEARCH.c.task_id == source.c.id)
            .scalar_subquery()
        )
    return func.ts_rank(_words_of(source), _QUERY)


def vector(sort: str, dialect: str) -> list[ColumnElement[Any]]:
    """The words of a task as a column, for an order that looks at them again in each row."""
    if sort != "relevance" or dialect == SQLITE:
        return []
    return [_words_of(task).label(_VECTOR_COLUMN)]


def _words_of(source: FromClause) -> ColumnElement[Any]:
    if _VECTOR_COLUMN in source.c:
        return source.c[_VECTOR_COLUMN]
    name = str(source.name) if isinstance(source, NamedFromClause) else "task"
    return literal_column(_WORDS_OF.format(name))
