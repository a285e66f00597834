"""Errors that a caller can receive, each with a code, a status and a remedy.

They are independent of the framework, so that services can raise them.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from todo.core.exit import ExitCode, FatalError


class ProblemError(Exception):
    """Error that is reported to the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    default_detail: ClassVar[str] = (
        "An unexpected error occurred. The server's log has the details under this request ID."
    )

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, object]] | None = None,
    ) -> None:
        self.detail = detail or self.default_detail
        self.headers = dict(headers or {})
        self.errors = errors
        super().__init__(self.detail)


class InternalError(ProblemError):
    """A defect of this program."""


class MalformedRequestError(ProblemError):
    """The request is malformed."""

    status = 400
    code = "malformed-request"
    default_detail = "The request is malformed."


class UnauthorizedError(ProblemError):
    """The token is missing or invalid."""

    status = 401
    code = "unauthorized"
    default_detail = "A valid bearer token is required."

    def __init__(self, detail: str | None = None, *, challenge: str = "Bearer") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class ForbiddenError(ProblemError):
    """The token is valid but does not allow the operation (RFC 6750)."""

    status = 403
    code = "insufficient-scope"
    default_detail = "The token does not allow this operation."

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        super().__init__(
            f"The token lacks the scope `{scope}`.",
            headers={"WWW-Authenticate": challenge},
        )


class NotFoundError(ProblemError):
    """The resource does not exist, or the caller cannot see it."""

    status = 404
    code = "not-found"
    default_detail = "Not found, or not visible to you."


class ReadOnlyError(ProblemError):
    """The caller can see the resource but not change it."""

    status = 403
    code = "read-only"
    default_detail = "You have read-only access to this resource."


class OtherUserError(ProblemError):
    """The URL names another user, who may or may not exist."""

    status = 403
    code = "other-user"
    default_detail = "The user in the URL is not the user of the token."


class StateConflictError(ProblemError):
    """The request conflicts with the current state of the resource."""

    status = 409
    code = "conflict"
    default_detail = "The request conflicts with the current state of the resource."


class ListNotEmptyError(StateConflictError):
    """The list has tasks, and the request does not specify what happens to them."""

    code = "list-not-empty"
    default_detail = "The list is not empty. Move or delete its tasks, or send ?tasks=delete."


class UndoConflictError(ProblemError):
    """A change cannot be undone, because later changes depend on it."""

    status = 409
    code = "undo-conflict"
    default_detail = "Nothing was undone; `errors` lists the conflicts."


class GoneError(ProblemError):
    """The resource existed and has expired."""

    status = 410
    code = "gone"
    default_detail = "The resource has expired."


class VersionMismatchError(ProblemError):
    """`If-Match` does not name the current version."""

    status = 412
    code = "version-mismatch"
    default_detail = (
        "The resource has changed. Read it again and send its current ETag in If-Match."
    )


class PreconditionRequiredError(ProblemError):
    """The token requires a header that the request lacks."""

    status = 428
    code = "precondition-required"
    default_detail = "This token requires a header that is missing."


class RequestTimeoutError(ProblemError):
    """The request body did not arrive in time."""

    status = 408
    code = "request-timeout"
    default_detail = "The request body did not arrive in time."


class TooLargeError(ProblemError):
    """The request body exceeds the limit."""

    status = 413
    code = "content-too-large"
    default_detail = "The request body is too large."

    def __init__(self, limit_bytes: int | None = None) -> None:
        known = f"The request body is too large: the limit is {limit_bytes} bytes."
        super().__init__(None if limit_bytes is None else known)


class ValidationFailedError(ProblemError):
    """The request is well-formed but has invalid values."""

    status = 422
    code = "validation-failed"
    default_detail = "The request has invalid fields; `errors` lists them."


class AmbiguousTextError(ProblemError):
    """A quick-add text is ambiguous; its errors list the choices."""

    status = 422
    code = "ambiguous-text"
    default_detail = (
        "Nothing was created: parts of the text are ambiguous. `errors` lists them, each with "
        "replacements in `choices`."
    )


class KeyReusedError(ProblemError):
    """The Idempotency-Key was used with a different request."""

    status = 422
    code = "idempotency-key-reused"
    default_detail = "This Idempotency-Key was used with a different request; send a new key."


class BatchFailedError(ProblemError):
    """A batch has invalid operations, so no operation was performed."""

    status = 422
    code = "batch-failed"
    default_detail = "Nothing was changed; `errors` lists the operations that failed."


class RateLimitedError(ProblemError):
    """The caller has exceeded a rate limit."""

    status = 429
    code = "rate-limited"
    default_detail = "Too many requests; retry after the seconds in `Retry-After`."


class TooManyBodiesError(ProblemError):
    """The caller's concurrent request bodies use too much memory."""

    status = 429
    code = "too-many-bodies"
    default_detail = "This user has too many large requests in progress; send fewer at a time."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class TooManyStreamsError(ProblemError):
    """The caller has too many open event streams."""

    status = 429
    code = "too-many-streams"
    default_detail = "Too many event streams are open; close one first."


# For failures that last until an operator intervenes.
_PERSON_S = 30


class UnavailableError(ProblemError):
    """The service is temporarily unavailable."""

    status = 503
    code = "unavailable"
    default_detail = "The service is temporarily unavailable; try again later."

    def __init__(self, detail: str | None = None, *, retry_after_s: float = 1) -> None:
        # Whole seconds, rounded up, at least one: RFC 9110 does not allow fractions.
        seconds = max(1, -int(-retry_after_s // 1))
        super().__init__(detail, headers={"Retry-After": str(seconds)})

    @property
    def reason(self) -> str:
        """Message for operators."""
        return self.detail


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached, or the breaker is open; only operators see the cause."""

    code = "database-unavailable"
    default_detail = "The database cannot be reached; try again later."

    def __init__(
        self, detail: str | None = None, *, retry_after_s: float = 1, cause: str = ""
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self._cause = cause

    @property
    def reason(self) -> str:
        """Message for operators."""
        return f"the database is not available: {self._cause}" if self._cause else self.detail


class DatabaseBusyError(UnavailableError):
    """No connection became free in time, or the statement took too long."""

    code = "database-busy"
    default_detail = "All database connections are in use; try again later."


class DatabaseReadOnlyError(UnavailableError):
    """The database is read-only, for example a standby."""

    code = "database-read-only"
    default_detail = (
        "The database is read-only at the moment; nothing was changed. Try again later."
    )

    def __init__(self) -> None:
        super().__init__(retry_after_s=_PERSON_S)


class DatabaseFullError(UnavailableError):
    """The database has run out of disk space."""

    code = "database-full"
    default_detail = "The database is out of disk space; nothing was changed. Try again later."

    def __init__(self) -> None:
        super().__init__(retry_after_s=_PERSON_S)


class WriteConflictError(UnavailableError):
    """The transaction conflicted with other writes on every attempt."""

    code = "write-conflict"
    default_detail = "The request conflicted with concurrent writes; try again."


class BodyMemoryError(UnavailableError):
    """The concurrent request bodies of all callers use too much memory."""

    code = "busy"
    default_detail = "The service has too many large requests in progress; try again later."


class SchemaMismatchError(UnavailableError):
    """The database schema is incompatible with this program."""

    code = "schema-mismatch"
    default_detail = "The database schema does not match this program."


def to_fatal(error: UnavailableError) -> FatalError:
    """Return the FatalError of a command that cannot use the database."""
    if isinstance(error, SchemaMismatchError):
        message = f"{error.detail} Run the command `migrate` to update it."
        return FatalError(ExitCode.SCHEMA_MISMATCH, message)
    return FatalError(ExitCode.DATABASE_UNAVAILABLE, error.reason)


class DeadlineExceededError(UnavailableError):
    """The request exceeded its deadline."""

    code = "deadline-exceeded"
    default_detail = (
        "The request exceeded its deadline and was abandoned; it may or may not have taken effect."
    )


class KeySetUnavailableError(UnavailableError):
    """The keys that verify the token cannot be fetched."""

    code = "key-set-unavailable"
    default_detail = "The token issuer's keys cannot be fetched; try again later."


class StartingError(UnavailableError):
    """The process has not finished starting."""

    code = "starting"
    default_detail = "The service is starting; try again later."


_STATUS_CODES = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    414: "uri-too-long",
    417: "expectation-failed",
    426: "upgrade-required",
    431: "header-too-large",
    501: "not-implemented",
    505: "http-version-not-supported",
}
_STATUS_DETAILS = {
    404: "Not found.",
    405: "Method not allowed; `Allow` lists the methods of this resource.",
}


class HttpError(ProblemError):
    """An error that the framework raised, such as an unknown route."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None) -> None:
        super().__init__(_STATUS_DETAILS.get(status, detail), headers=headers)
        self.status = status  # type: ignore[misc]
        self.code = _STATUS_CODES.get(status, f"http-{status}")  # type: ignore[misc]
