"""Metrics of the outcomes of requests about plans."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from todo.plans.errors import PlanExpiredError, PlanOutdatedError


@dataclass(slots=True)
class PlanOutcome:
    """Outcome of a request: one of `PLAN_OUTCOMES`, or None for a replayed response."""

    name: str | None = None


@contextlib.contextmanager
def count_outcome(count: Callable[[str], None]) -> Iterator[PlanOutcome]:
    """Count the outcome of the block with `Metrics.count_plan`, once and only after the commit.

    The write in the block sets the name and may be retried.
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
