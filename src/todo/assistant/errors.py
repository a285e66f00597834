"""Errors of the assistant."""

from todo.core.errors import ProblemError, ReadOnlyError, StateConflictError
from todo.writes.storage_quota import QuotaExceededError

MAX_BYTES = 64 * 1024 * 1024
"""Maximum size of one account's conversations, in bytes."""


class ConversationsFullError(QuotaExceededError):
    """The conversations of the account have reached their maximum size."""

    code = "conversations-full"

    def __init__(self) -> None:
        ProblemError.__init__(
            self,
            "Nothing was done: the conversations of this account have reached their limit of"
            f" {MAX_BYTES >> 20} MiB. Tasks are not affected. Save the conversations to keep with"
            " GET /api/v1/conversations/{id}, then delete them and all others that you no longer"
            " need.",
        )


class OtherTokensConversationError(ReadOnlyError):
    """The conversation was started with a token for other lists."""

    code = "other-conversation"
    default_detail = (
        "This conversation was started with a token for other lists. To start a new one, send the "
        "message without conversation_id."
    )


class TurnRunningError(StateConflictError):
    """The first request with this idempotency key is still running."""

    code = "turn-running"
    default_detail = (
        "The first request with this Idempotency-Key is still in progress; retry after the "
        "seconds in `Retry-After`."
    )

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})
