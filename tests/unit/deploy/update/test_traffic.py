"""Requests to the candidate, compared with the same ones to an instance that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.update.traffic import HANG_TIMEOUT_S, MIN_LIMIT_S, Answer, Call, Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

FAST = Answer(200, 0.004)


def compare(*mine: Answer, theirs: Answer = FAST, serves: bool = True) -> list[str]:
    """Return the problems after each request."""
    answers = iter(mine)
    comparison = Comparison(
        lambda _call, _limit_s: next(answers),
        (lambda _call, _limit_s: theirs) if serves else None,
        [],
    )
    return [comparison.step() for _ in mine]


def test_answers_like_those_of_the_other_are_good() -> None:
    assert set(compare(*[Answer(200, 0.006)] * 30)) == {""}


def test_a_server_error_is_a_fault_unless_the_other_has_it_too() -> None:
    assert "500" in compare(Answer(500, 0.004))[0]
    assert compare(Answer(503, 0.004), theirs=Answer(503, 0.004)) == [""]


@pytest.mark.parametrize("gone", [Answer(503, 0.004), Answer(0, 60.0, "timed out")])
@pytest.mark.parametrize("before", [[], [FAST]])
def test_a_server_error_is_no_fault_where_the_other_has_it_from_then_on(
    gone: Answer, before: list[Answer]
) -> None:
    answers = iter([*before, gone])
    running: Callable[[Call, float], Answer] = lambda _call, _limit_s: next(answers)  # noqa: E731
    assert Comparison(lambda _call, _limit_s: Answer(503, 0.004), running, []).step() == ""


@pytest.mark.parametrize("status", [301, 400, 404, 405])
def test_an_answer_of_a_later_class_is_a_fault_unless_the_other_has_it_too(status: int) -> None:
    found = compare(Answer(status, 0.004))[0]
    assert f"returns {status}, but 200 with the running image" in found
    assert compare(Answer(status, 0.004), theirs=Answer(404, 0.004)) == [""]
    assert compare(Answer(201, 0.004)) == [""]


def test_an_image_is_better_than_one_that_does_not_know_a_request() -> None:
    assert compare(FAST, theirs=Answer(404, 0.004)) == [""]


def test_the_other_is_asked_again_before_an_answer_is_judged() -> None:
    theirs = iter([FAST, Answer(404, 0.004)])
    assert Comparison(lambda *_: Answer(404, 0.004), lambda *_: next(theirs), []).step() == ""


def test_a_rate_limit_is_not_a_fault() -> None:
    # Several instances have several times what the candidate has.
    assert compare(Answer(429, 0.004)) == [""]


def test_a_token_that_is_refused_is_a_fault() -> None:
    assert "tokens" in compare(Answer(401, 0.004))[0]


def test_no_answer_is_a_fault_when_the_other_answers() -> None:
    assert "refused" in compare(Answer(0, 0.0, "Connection refused"))[0]
    assert "5.0 s" in compare(Answer(0, MIN_LIMIT_S, "timed out"))[0]


@pytest.mark.parametrize("theirs", [Answer(200, 1.0), Answer(0, 60.0, "timed out")])
def test_no_answer_in_time_is_no_fault_on_a_machine_that_stands_still(theirs: Answer) -> None:
    limits: list[float] = []

    def silent(_call: Call, limit_s: float) -> Answer:
        limits.append(limit_s)
        return Answer(0, MIN_LIMIT_S, "timed out")

    before = iter([FAST, theirs])
    running: Callable[[Call, float], Answer] = lambda _call, _limit_s: next(before)  # noqa: E731
    assert Comparison(silent, running, []).step() == ""
    assert limits == [MIN_LIMIT_S]


def test_no_answer_is_no_fault_when_the_other_gives_none_either() -> None:
    refused = Answer(0, 0.0, "Connection refused")
    assert compare(refused, theirs=refused) == [""]


def test_a_slow_machine_has_more_time() -> None:
    limits: list[float] = []

    def note(_call: Call, limit_s: float) -> Answer:
        limits.append(limit_s)
        return Answer(200, 2.0)

    Comparison(note, lambda _call, _limit_s: Answer(200, 1.0), []).step()
    assert limits == [20.0]


def test_a_candidate_that_hangs_does_not_give_itself_more_time() -> None:
    limits: list[float] = []

    def hang(_call: Call, limit_s: float) -> Answer:
        limits.append(limit_s)
        return Answer(0, limit_s, "timed out")

    # Both accept from the public socket.
    theirs = iter([Answer(0, 60.0, "timed out"), FAST])
    assert "gets no response within 5.0 s" in Comparison(hang, lambda *_: next(theirs), []).step()
    assert limits == [MIN_LIMIT_S] * 2


def test_a_machine_that_stood_still_until_now_is_not_a_fault() -> None:
    theirs = iter([Answer(0, 5.0, "timed out"), FAST])
    mine = iter([Answer(0, 5.0, "timed out"), FAST])
    assert Comparison(lambda *_: next(mine), lambda *_: next(theirs), []).step() == ""


def find_limits(*theirs: Answer, known: list[float]) -> list[float]:
    """Return the time limits of the running instances, request by request."""
    limits: list[float] = []
    answers = iter(theirs)

    def note(_call: Call, limit_s: float) -> Answer:
        limits.append(limit_s)
        return next(answers)

    comparison = Comparison(lambda *_: FAST, note, known)
    for _ in theirs:
        comparison.step()
    return limits


def test_only_the_first_request_to_the_running_ones_is_waited_for_long() -> None:
    known: list[float] = []
    assert find_limits(FAST, FAST, FAST, known=known) == [HANG_TIMEOUT_S, MIN_LIMIT_S, MIN_LIMIT_S]
    # While the candidate serves, it may have accepted that one.
    assert find_limits(FAST, known=known) == [MIN_LIMIT_S]


def test_running_ones_that_become_slow_have_more_time() -> None:
    known = [0.004] * 100
    limits = find_limits(*[Answer(0, 5.0, "timed out")] * 7, FAST, known=known)
    assert limits == [*[MIN_LIMIT_S] * 6, pytest.approx(25.02), 50.0]


def test_ten_times_slower_is_too_slow_and_a_single_slow_answer_is_not() -> None:
    slow = Answer(200, 0.2)
    assert set(compare(*[FAST] * 20, slow, *[FAST] * 20)) == {""}
    assert "0.200 s" in compare(*[slow] * 12)[-1]
    assert set(compare(*[slow] * 30, theirs=Answer(200, 0.03))) == {""}


def test_without_another_only_errors_count() -> None:
    assert set(compare(*[Answer(200, 5.0)] * 20, serves=False)) == {""}
    assert compare(Answer(500, 0.1), serves=False)[0].endswith("returns 500")
    assert compare(Answer(404, 0.1), serves=False)[0].endswith("returns 404")
