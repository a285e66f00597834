"""A budget of processor time ends costly work, and only that."""

import threading
import time

import pytest

from todo.core.time_budget import TimeBudget, TimeBudgetExceededError


class Clock:
    """Shows the processor time that a test says was spent."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_all_blocks_share_one_budget() -> None:
    clock = Clock()
    budget = TimeBudget(1, clock=clock)
    for _ in range(4):
        with budget.spend():
            clock.now_s += 0.25

    with pytest.raises(TimeBudgetExceededError), budget.spend():
        pytest.fail("an exhausted budget starts nothing")


def test_a_long_loop_ends_where_it_checks() -> None:
    clock = Clock()
    budget = TimeBudget(1, clock=clock)
    rounds = []

    def loop() -> None:
        while True:
            budget.check()
            clock.now_s += 0.3
            rounds.append(clock.now_s)

    with pytest.raises(TimeBudgetExceededError), budget.spend():
        loop()

    assert len(rounds) == 4


def test_a_block_that_fails_is_charged_too() -> None:
    clock = Clock()
    budget = TimeBudget(1, clock=clock)

    def fail() -> None:
        clock.now_s += 1
        raise KeyError

    with pytest.raises(KeyError), budget.spend():
        fail()

    with pytest.raises(TimeBudgetExceededError):
        budget.check()


def test_between_blocks_the_clock_spends_nothing() -> None:
    clock = Clock()
    budget = TimeBudget(1, clock=clock)
    with budget.spend():
        clock.now_s += 0.9
    clock.now_s += 100

    budget.check()


def test_waiting_and_other_threads_spend_nothing() -> None:
    budget = TimeBudget(0.2)
    with budget.spend():
        other = threading.Thread(target=lambda: sum(range(3_000_000)))
        other.start()
        time.sleep(0.25)
        other.join()

        budget.check()


def test_computing_spends_it() -> None:
    budget = TimeBudget(0.01)

    def loop() -> None:
        while True:
            budget.check()

    with pytest.raises(TimeBudgetExceededError), budget.spend():
        loop()
