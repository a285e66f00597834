"""Counting of plan outcomes: once each, and only after the commit."""

import pytest

from todo.plans.errors import PlanAppliedError, PlanExpiredError, PlanOutdatedError
from todo.plans.outcome import count_outcome


def test_a_write_that_was_repeated_after_a_conflict_counts_once() -> None:
    counted: list[str] = []
    with count_outcome(counted.append) as outcome:
        for _ in range(3):
            outcome.name = "applied"
    assert counted == ["applied"]


def test_a_replayed_response_does_not_count() -> None:
    counted: list[str] = []
    with count_outcome(counted.append):
        pass
    assert counted == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PlanExpiredError("2027-03-10T10:00:00Z"), ["expired"]),
        (PlanOutdatedError(errors=[]), ["outdated"]),
        (PlanAppliedError("2027-03-10T10:00:00Z"), []),
    ],
)
def test_a_write_that_failed_counts_only_why_the_plan_was_refused(
    error: Exception, expected: list[str]
) -> None:
    counted: list[str] = []

    def fail() -> None:
        with count_outcome(counted.append) as outcome:
            # An attempt before this one carried it out, and was not committed.
            outcome.name = "applied"
            raise error

    with pytest.raises(type(error)):
        fail()
    assert counted == expected
