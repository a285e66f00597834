"""Classification of database errors: for the breaker, and for the answer to a request."""

from sqlalchemy import exc

from todo.core.circuit_breaker import Outcome
from todo.core.errors import (
    DatabaseBusyError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    SchemaMismatchError,
    UnavailableError,
)

# What the server says of itself: it is leaving, starting, or has no connection left.
_LOST_STATES = {"57P01", "57P02", "57P03", "53300"}
# The server answers, and what it answers has a name here: refused this once (cancelled by the
# time-out, not locked in time, short of memory), no changes, no room, no table, no column.
_REFUSALS: dict[str, type[UnavailableError]] = {
    "57014": DatabaseBusyError,
    "55P03": DatabaseBusyError,
    "53200": DatabaseBusyError,
    "25006": DatabaseReadOnlyError,
    "53100": DatabaseFullError,
    # Its disk cannot be read or written.
    "58030": DatabaseUnavailableError,
    "42P01": SchemaMismatchError,
    "42703": SchemaMismatchError,
    # A privilege is missing, which `migrate` grants.
    "42501": SchemaMismatchError,
}
# The same of SQLite, by its messages.
_SQLITE_REFUSALS: dict[str, type[UnavailableError]] = {
    "locked": DatabaseBusyError,
    "readonly database": DatabaseReadOnlyError,
    "disk is full": DatabaseFullError,
    "no such table": SchemaMismatchError,
    "no such column": SchemaMismatchError,
    "has no column named": SchemaMismatchError,
}
# Serialization failure, deadlock, and what a row refers to gone since it was looked up: the same
# again may well succeed, or is refused with the reason.
_CONFLICT_STATES = {"40001", "40P01", "23503"}
_DRIVER_MODULES = {"psycopg", "sqlite3", "sqlalchemy"}


class ConflictError(Exception):
    """Another transaction was in the way: the whole may be tried again."""


def classify(error: BaseException) -> Outcome:
    """Return the meaning of an exception for the circuit breaker."""
    names = _names(error)
    if not names & {"Error", "DBAPIError"}:
        # The pool's time-out and errors of this program say nothing about it.
        return Outcome.FAILURE if isinstance(error, ConnectionError) else Outcome.IGNORED
    cause = _find_cause(error)
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        lost = state.startswith("08") or state in _LOST_STATES
        return Outcome.FAILURE if lost else Outcome.SUCCESS
    if getattr(error, "connection_invalidated", False):
        return Outcome.FAILURE
    if names & {"OperationalError", "InterfaceError"}:
        message = str(cause)
        if any(known in message for known in _SQLITE_REFUSALS):
            return Outcome.IGNORED
        return Outcome.FAILURE
    return Outcome.SUCCESS


def _find_cause(error: BaseException) -> BaseException:
    """Return the driver's own error: SQLAlchemy wraps it while it connects."""
    return (error.orig or error) if isinstance(error, exc.DBAPIError) else error


def _names(error: BaseException) -> set[str]:
    """Return the classes of an error by the names that PEP 249 gives them in every driver."""
    return {
        kind.__name__
        for kind in type(error).__mro__
        if kind.__module__.partition(".")[0] in _DRIVER_MODULES
    }


def translate(error: BaseException) -> BaseException:
    """Return the error to raise for one of the driver; errors of other kinds as they are."""
    cause = _find_cause(error)
    state = getattr(cause, "sqlstate", None)
    if state in _CONFLICT_STATES:
        return ConflictError(state)
    if state is None:
        refusals = [kind for known, kind in _SQLITE_REFUSALS.items() if known in str(cause)]
    else:
        refusals = [_REFUSALS[state]] if state in _REFUSALS else []
    if refusals:
        return refusals[0]()
    if classify(error) is Outcome.FAILURE:
        return DatabaseUnavailableError(cause=" ".join(str(cause).split()))
    return error
