"""Classification of database errors, for the circuit breaker and for responses."""

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

# SQLSTATE codes of a server that is stopping, starting or out of connections.
_LOST_STATES = {"57P01", "57P02", "57P03", "53300"}
# Errors by SQLSTATE code that a working server returns.
_REFUSALS: dict[str, type[UnavailableError]] = {
    "57014": DatabaseBusyError,
    "55P03": DatabaseBusyError,
    "53200": DatabaseBusyError,
    "25006": DatabaseReadOnlyError,
    "53100": DatabaseFullError,
    # The server's disk cannot be read or written.
    "58030": DatabaseUnavailableError,
    "42P01": SchemaMismatchError,
    "42703": SchemaMismatchError,
    # A missing privilege, which `migrate` grants.
    "42501": SchemaMismatchError,
}
# The corresponding errors of SQLite, by parts of their messages.
_SQLITE_REFUSALS: dict[str, type[UnavailableError]] = {
    "locked": DatabaseBusyError,
    "readonly database": DatabaseReadOnlyError,
    "disk is full": DatabaseFullError,
    "no such table": SchemaMismatchError,
    "no such column": SchemaMismatchError,
    "has no column named": SchemaMismatchError,
}
# Serialization failure, deadlock, and a referenced row that has just been deleted: a retry may
# succeed, or fail with the actual reason.
_CONFLICT_STATES = {"40001", "40P01", "23503"}
_DRIVER_MODULES = {"psycopg", "sqlite3", "sqlalchemy"}


class ConflictError(Exception):
    """The transaction conflicts with another one and may be retried as a whole."""


def classify(error: BaseException) -> Outcome:
    """Return the outcome of a call for the circuit breaker."""
    names = _names(error)
    if not names & {"Error", "DBAPIError"}:
        # Pool timeouts and this program's own errors are unrelated to the server's health.
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
    """Return the driver's error, which SQLAlchemy wraps while connecting."""
    return (error.orig or error) if isinstance(error, exc.DBAPIError) else error


def _names(error: BaseException) -> set[str]:
    """Return the names of an error's classes, which PEP 249 defines for every driver."""
    return {
        kind.__name__
        for kind in type(error).__mro__
        if kind.__module__.partition(".")[0] in _DRIVER_MODULES
    }


def translate(error: BaseException) -> BaseException:
    """Return the error to raise for a driver's error; other errors are returned unchanged."""
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
