"""Errors of plans."""

from todo.core.errors import GoneError, ProblemError, StateConflictError


class PlanOutdatedError(ProblemError):
    """The changes of a plan would differ from its preview."""

    status = 412
    code = "plan-outdated"
    default_detail = (
        "The plan is outdated, so nothing was changed; `errors` lists the differences. Make a new "
        "plan."
    )


class PlanAppliedError(StateConflictError):
    """The plan has already been applied."""

    code = "plan-applied"

    def __init__(self, applied_at: str) -> None:
        super().__init__(f"The plan was applied at {applied_at}; make a new one for more changes.")


class PlanExpiredError(GoneError):
    """The plan was not applied in time."""

    code = "plan-expired"

    def __init__(self, expired_at: str) -> None:
        super().__init__(
            f"The plan expired at {expired_at}, so nothing was changed. Make a new one."
        )


class PlanTooLargeError(ProblemError):
    """The plan would change too much to be stored."""

    status = 413
    code = "plan-too-large"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The plan would {reason}. Plan fewer operations at once.")


class TooManyPlansError(ProblemError):
    """The user has too many open plans."""

    status = 429
    code = "too-many-plans"

    def __init__(self, limit: int, retry_after_s: int) -> None:
        super().__init__(
            f"A user may have {limit} open plans. Apply one, delete one, or wait until one "
            "expires, as `Retry-After` says.",
            headers={"Retry-After": str(max(1, retry_after_s))},
        )
