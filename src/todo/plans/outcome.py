"""The outcome of a request about a plan, counted for the metrics."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from todo.plans.errors import PlanExpiredError, PlanOutdatedError


@dataclass(slots=True)
class PlanOutcome:
    """Outcome of a plan.

    Attributes:
        name: One of `PLAN_OUTCOMES`; None if the request was only replayed.
    """

    name: str | None = None


@contextlib.contextmanager
def count_outcome(count: Callable[[str], None]) -> Iterator[PlanOutcome]:
    """Count what the block makes of a plan, once, and only what was committed.

    The write in the block sets the name, and may run more than once.

    Args:
        count: `Metrics.count_plan`.
    """
    outcome = PlanOutcome()
    try:
        yield outcome
    except PlanExpiredError:
        count("expired")
        raise
    except PlanOutdatedError:
        count("outdated")
        raise
    if outcome.name is not None:
        count(outcome.name)
