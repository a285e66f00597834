"""Statements: built with SQLAlchemy, compiled once per dialect, and run directly on the driver.

Running a statement through SQLAlchemy costs several times as much as the driver alone
(docs/adr/0016-run-compiled-statements-on-the-driver.md). Only its compiler is used, which renders
one expression for two databases with the right casts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Dialect,
    Executable,
    Select,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeEngine

POSTGRESQL = "postgresql"
SQLITE = "sqlite"
_MIN_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Compiled:
    """Compiled statement in the driver's format.

    Attributes:
        text: SQL text; as bytes if the driver would otherwise encode it for each run.
        constants: Values that are part of the statement.
        order: Names of the values of $1, $2 and so on; None if the driver uses named parameters.
    """

    text: str | bytes
    constants: Mapping[str, Any]
    order: tuple[str, ...] | None = None

    def bind(self, values: Mapping[str, Any]) -> Mapping[str, Any] | list[Any]:
        """Return all values for the driver; a missing value is an error, not a NULL."""
        every = {**self.constants, **values} if self.constants else values
        return every if self.order is None else [every[name] for name in self.order]


class Statement:
    """Statement with named parameters (`bindparam("name")`), or its builder by dialect name."""

    __slots__ = ("_compiled", "_make")

    def __init__(self, make: Executable | Callable[[str], Executable]) -> None:
        self._make = make
        self._compiled: dict[str, Compiled] = {}

    def compile_for(self, dialect: Dialect) -> Compiled:
        """Return the compiled statement for a dialect."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> Compiled:
        statement = self._make(dialect.name) if callable(self._make) else self._make
        assert isinstance(statement, ClauseElement)  # noqa: S101 - narrows the type
        numbered = dialect.name != SQLITE
        if numbered:
            # In the server's syntax, because psycopg would parse named parameters on each run.
            dialect = type(dialect)(paramstyle="numeric_dollar")  # type: ignore[call-arg]
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - likewise
        constants = {
            name: bind.value for bind, name in compiled.bind_names.items() if not bind.required
        }
        if not numbered:
            return Compiled(str(compiled), constants)
        return Compiled(str(compiled).encode(), constants, tuple(compiled.positiontup or ()))


BoundStatement = tuple[Statement, Mapping[str, Any]]
Row = tuple[Any, ...]


def follows(column: ColumnElement[str], name: str = "after") -> ColumnElement[bool]:
    """Return the condition for rows after the ID in parameter `name`; NULL selects all rows."""
    last: ColumnElement[str] = bindparam(name, type_=column.type)
    first = func.coalesce(last, literal(_MIN_ID, column.type))
    # A single `OR` of both conditions could not use an index.
    return (column >= first) & column.is_distinct_from(last)


def unnest_json(dialect: str, name: str, kind: TypeEngine[str]) -> Select[tuple[str]]:
    """Select the values of a JSON array parameter, for an `IN` of any length."""
    if dialect == SQLITE:
        return select(func.json_each(bindparam(name)).table_valued("value").c.value)
    return select(cast(func.json_array_elements_text(cast(bindparam(name), JSON)), kind))
