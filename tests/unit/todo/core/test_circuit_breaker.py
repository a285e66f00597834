import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pybreaker
import pytest

from todo.core.circuit_breaker import AsyncBreaker, BreakerOpenError, Outcome


class LostError(Exception):
    """The dependency is gone."""


class RefusedError(Exception):
    """The dependency works and said no."""


class OwnError(Exception):
    """Nothing to do with the dependency."""


def classify(error: BaseException) -> Outcome:
    if isinstance(error, LostError):
        return Outcome.FAILURE
    return Outcome.SUCCESS if isinstance(error, RefusedError) else Outcome.IGNORED


class Clock:
    """A clock that is advanced explicitly."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture
def breaker() -> AsyncBreaker:
    return AsyncBreaker(failures=2, reset_s=60, classify=classify, clock=CLOCK)


def fail(breaker: AsyncBreaker, error: type[BaseException]) -> None:
    with pytest.raises(error), breaker.calling():
        raise error


def let_time_pass(breaker: AsyncBreaker) -> None:
    assert breaker.state == "open"
    CLOCK.now += 61


def trip(breaker: AsyncBreaker) -> None:
    fail(breaker, LostError)
    fail(breaker, LostError)
    assert breaker.state == "open"


def test_failures_in_a_row_open_it(breaker: AsyncBreaker) -> None:
    fail(breaker, LostError)
    assert breaker.state == "closed"
    fail(breaker, LostError)

    with pytest.raises(BreakerOpenError) as caught, breaker.calling():
        pytest.fail("called through an open breaker")
    assert 59 < caught.value.retry_after_s <= 60


@pytest.mark.parametrize("error", [None, RefusedError])
def test_a_sign_of_life_forgets_failures(
    breaker: AsyncBreaker, error: type[BaseException] | None
) -> None:
    fail(breaker, LostError)
    if error is None:
        with breaker.calling():
            pass
    else:
        fail(breaker, error)
    fail(breaker, LostError)

    assert breaker.state == "closed"


@pytest.mark.parametrize("error", [OwnError, asyncio.CancelledError, GeneratorExit])
def test_what_says_nothing_changes_nothing(
    breaker: AsyncBreaker, error: type[BaseException]
) -> None:
    fail(breaker, LostError)
    fail(breaker, error)
    fail(breaker, LostError)

    assert breaker.state == "open"


def test_one_probe_at_a_time_and_its_success_closes(breaker: AsyncBreaker) -> None:
    trip(breaker)
    let_time_pass(breaker)

    with breaker.calling(), pytest.raises(BreakerOpenError), breaker.calling():
        pytest.fail("a second probe")
    assert breaker.state == "closed"
    assert breaker.transitions == {"open": 1, "half-open": 1, "closed": 1}


def test_it_is_half_open_while_a_probe_runs(breaker: AsyncBreaker) -> None:
    trip(breaker)
    let_time_pass(breaker)

    with breaker.calling():
        assert breaker.state == "half-open"


def test_a_failed_probe_opens_it_again(breaker: AsyncBreaker) -> None:
    trip(breaker)
    let_time_pass(breaker)
    fail(breaker, LostError)

    assert breaker.state == "open"
    assert breaker.retry_after_s > 59


def test_a_cancelled_probe_leaves_the_next_one_to_try(breaker: AsyncBreaker) -> None:
    trip(breaker)
    let_time_pass(breaker)
    fail(breaker, asyncio.CancelledError)
    assert breaker.state != "closed"

    with breaker.calling():
        pass
    assert breaker.state == "closed"


def test_calls_from_before_it_opened_are_ignored(breaker: AsyncBreaker) -> None:
    with breaker.calling():
        trip(breaker)
    assert breaker.state == "open"


def test_overlapping_calls_share_no_lock(breaker: AsyncBreaker) -> None:
    async def call() -> None:
        with breaker.calling():
            await asyncio.sleep(0.05)

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(call() for _ in range(20)))
        return loop.time() - began

    assert asyncio.run(scenario()) < 0.5


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_time_of_day_that_is_set_changes_nothing(
    breaker: AsyncBreaker, step: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = UTC) -> Self:
            return super().now(tz) + step

    trip(breaker)
    monkeypatch.setattr(pybreaker, "datetime", Stepped)
    with pytest.raises(BreakerOpenError), breaker.calling():
        pytest.fail("called through an open breaker")
    let_time_pass(breaker)
    with breaker.calling():
        pass
    assert breaker.state == "closed"


def test_a_failure_noticed_after_its_call_was_given_up_counts(breaker: AsyncBreaker) -> None:
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError), breaker.calling():
            raise asyncio.CancelledError
        assert breaker.state == "closed"
        breaker.report(LostError())
    assert breaker.state == "open"
