"""Errors of the assistant."""

from todo.core.errors import ProblemError, ReadOnlyError, StateConflictError
from todo.writes.storage_quota import QuotaExceededError

MAX_BYTES = 64 * 1024 * 1024
"""What the conversations of one account may take."""


class ConversationsFullError(QuotaExceededError):
    """The conversations of the account take as much as they may."""

    code = "conversations-full"

    def __init__(self) -> None:
        ProblemError.__init__(
            self,
            f"Nothing was done: the conversations of this account take {MAX_BYTES >> 20} MiB, the"
            " most that they may. Tasks are not affected. GET /api/v1/conversations/{id} returns a"
            " conversation with its messages: save those that you want to keep, then delete the"
            " saved ones and those that you no longer need.",
        )


class OtherTokensConversationError(ReadOnlyError):
    """A token for one list and a token for all do not continue each other's conversations."""

    code = "other-conversation"
    default_detail = (
        "This conversation was started with a token for another selection of lists."
        " Start a new one: send the message without conversation_id."
    )


class TurnRunningError(StateConflictError):
    """The first request with this key has no answer yet."""

    code = "turn-running"
    default_detail = (
        "The first request with this Idempotency-Key has no answer yet; repeat the request when"
        " `Retry-After` says."
    )

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})
