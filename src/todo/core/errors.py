"""Errors that a caller can receive: each has a code, a status and a remedy.

They are independent of the framework, so services may raise them; `todo.core.problem_document`
renders them.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from todo.core.exit import ExitCode, FatalError


class ProblemError(Exception):
    """An error that is reported to the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    default_detail: ClassVar[str] = (
        "An unexpected error occurred; the log has it by its request id."
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
    """The request cannot be read at all."""

    status = 400
    code = "malformed-request"
    default_detail = "The request is malformed."


class UnauthorizedError(ProblemError):
    """No token, or one that is not accepted."""

    status = 401
    code = "unauthorized"
    default_detail = "A valid bearer token is required."

    def __init__(self, detail: str | None = None, *, challenge: str = "Bearer") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class ForbiddenError(ProblemError):
    """The token is accepted, and does not allow this (RFC 6750)."""

    status = 403
    code = "insufficient-scope"
    default_detail = "The token does not allow this."

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        super().__init__(
            f"The token does not have the scope `{scope}`.",
            headers={"WWW-Authenticate": challenge},
        )


class NotFoundError(ProblemError):
    """No such thing, or not the caller's."""

    status = 404
    code = "not-found"
    default_detail = "There is nothing here that you may see."


class ReadOnlyError(ProblemError):
    """Seen, but not to be changed by this caller."""

    status = 403
    code = "read-only"
    default_detail = "You may see this, but not change it."


class OtherUserError(ProblemError):
    """An address of another user, whether or not there is one."""

    status = 403
    code = "other-user"
    default_detail = "The user in the address is not the user of the token."


class StateConflictError(ProblemError):
    """The request conflicts with the current state of the resource."""

    status = 409
    code = "conflict"
    default_detail = "The request conflicts with the current state of the resource."


class ListNotEmptyError(StateConflictError):
    """A list with tasks, and no word about them."""

    code = "list-not-empty"
    default_detail = "The list has tasks: move or delete them, or send ?tasks=delete."


class UndoConflictError(ProblemError):
    """What is to be undone was changed since, or what it stood in is gone."""

    status = 409
    code = "undo-conflict"
    default_detail = "Nothing was undone; `errors` names what stands in the way."


class GoneError(ProblemError):
    """The resource existed, and has expired."""

    status = 410
    code = "gone"
    default_detail = "The resource has expired."


class VersionMismatchError(ProblemError):
    """`If-Match` names another version than the one that there is."""

    status = 412
    code = "version-mismatch"
    default_detail = "It was changed meanwhile: read it again, and send its new ETag in If-Match."


class PreconditionRequiredError(ProblemError):
    """The token asks for a header that the request does not have."""

    status = 428
    code = "precondition-required"
    default_detail = "This token requires a header that is missing."


class RequestTimeoutError(ProblemError):
    """The request's body did not arrive."""

    status = 408
    code = "request-timeout"
    default_detail = "The body of the request did not arrive in time."


class TooLargeError(ProblemError):
    """The request's body exceeds the limit."""

    status = 413
    code = "content-too-large"
    default_detail = "The body of the request is too large."

    def __init__(self, limit_bytes: int | None = None) -> None:
        """Name the limit, where it is known."""
        known = f"The body of this request may have at most {limit_bytes} bytes."
        super().__init__(None if limit_bytes is None else known)


class ValidationFailedError(ProblemError):
    """Readable input with unacceptable values."""

    status = 422
    code = "validation-failed"
    default_detail = "The request has invalid fields; `errors` names them."


class AmbiguousTextError(ProblemError):
    """A text of quick add has a part with more than one meaning; its errors list the choices."""

    status = 422
    code = "ambiguous-text"
    default_detail = (
        "Nothing was created: parts of the text have more than one meaning; "
        "`errors` names them, with `choices` to replace each."
    )


class KeyReusedError(ProblemError):
    """An Idempotency-Key came with another request before."""

    status = 422
    code = "idempotency-key-reused"
    default_detail = "This Idempotency-Key was used with another request; make a new one."


class BatchFailedError(ProblemError):
    """Some operations of a batch cannot be done, so none was."""

    status = 422
    code = "batch-failed"
    default_detail = "Nothing was changed; `errors` names the operations that cannot be done."


class RateLimitedError(ProblemError):
    """The caller asks too often."""

    status = 429
    code = "rate-limited"
    default_detail = "Too many requests; `Retry-After` says when to try again."


class TooManyBodiesError(ProblemError):
    """The bodies that the caller sends at the same time take too much memory."""

    status = 429
    code = "too-many-bodies"
    default_detail = "Too many large requests of this user are being sent; send fewer at a time."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class TooManyStreamsError(ProblemError):
    """The caller listens to too many streams."""

    status = 429
    code = "too-many-streams"
    default_detail = "Too many streams of events are open; close one of them first."


# What ends when somebody does something about it, not in a second.
_PERSON_S = 30


class UnavailableError(ProblemError):
    """The service cannot answer now, and will later."""

    status = 503
    code = "unavailable"
    default_detail = "The service is not available at the moment."

    def __init__(self, detail: str | None = None, *, retry_after_s: float = 1) -> None:
        # Whole seconds, rounded up, at least one: RFC 9110 knows no fractions.
        seconds = max(1, -int(-retry_after_s // 1))
        super().__init__(detail, headers={"Retry-After": str(seconds)})

    @property
    def reason(self) -> str:
        """The message for operators."""
        return self.detail


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached, or the breaker is open."""

    code = "database-unavailable"
    default_detail = "The database is not reachable; try again later."

    def __init__(
        self, detail: str | None = None, *, retry_after_s: float = 1, cause: str = ""
    ) -> None:
        """Say that there is no database.

        Args:
            detail: For the caller.
            retry_after_s: Seconds until the caller may try again.
            cause: The cause, only for operators.
        """
        super().__init__(detail, retry_after_s=retry_after_s)
        self._cause = cause

    @property
    def reason(self) -> str:
        """The message for operators."""
        return f"the database is not available: {self._cause}" if self._cause else self.detail


class DatabaseBusyError(UnavailableError):
    """Every connection of the pool is in use."""

    code = "database-busy"
    default_detail = "Too many requests use the database; try again later."


class DatabaseReadOnlyError(UnavailableError):
    """The database answers, and takes no changes: a stand-by, or set to be read only."""

    code = "database-read-only"
    default_detail = "The database takes no changes at the moment; try again later."

    def __init__(self) -> None:
        super().__init__(retry_after_s=_PERSON_S)


class DatabaseFullError(UnavailableError):
    """The database answers, and has no room for a change."""

    code = "database-full"
    default_detail = "The database has no room left; nothing was changed. Try again later."

    def __init__(self) -> None:
        super().__init__(retry_after_s=_PERSON_S)


class WriteConflictError(UnavailableError):
    """Other writes were in the way each time it was tried."""

    code = "write-conflict"
    default_detail = "Other writes were in the way; try again."


class BodyMemoryError(UnavailableError):
    """The bodies that all callers send at the same time take too much memory."""

    code = "busy"
    default_detail = "Too many large requests are being sent; try again later."


class SchemaMismatchError(UnavailableError):
    """The database's schema is not the one this program works with."""

    code = "schema-mismatch"
    default_detail = "The database's schema does not match this program."


def to_fatal(error: UnavailableError) -> FatalError:
    """The end of a command whose database cannot be used: cause, remedy and exit code."""
    if isinstance(error, SchemaMismatchError):
        message = f"{error.detail} The command `migrate` brings it up to date."
        return FatalError(ExitCode.SCHEMA_MISMATCH, message)
    return FatalError(ExitCode.DATABASE_UNAVAILABLE, error.reason)


class DeadlineExceededError(UnavailableError):
    """The answer took longer than a request may."""

    code = "deadline-exceeded"
    default_detail = (
        "The request took too long and was given up; whether it took effect is unknown."
    )


class KeySetUnavailableError(UnavailableError):
    """The keys that the token is to be verified with cannot be fetched."""

    code = "key-set-unavailable"
    default_detail = "The keys of the tokens' issuer cannot be fetched; try again later."


class StartingError(UnavailableError):
    """The process has not finished starting."""

    code = "starting"
    default_detail = "The service is starting."


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
    404: "No such address.",
    405: "The address does not know this method; `Allow` lists those it knows.",
}


class HttpError(ProblemError):
    """An error that the framework found, such as an unknown route."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None) -> None:
        super().__init__(_STATUS_DETAILS.get(status, detail), headers=headers)
        self.status = status  # type: ignore[misc]
        self.code = _STATUS_CODES.get(status, f"http-{status}")  # type: ignore[misc]
