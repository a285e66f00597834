"""Comparison of an instance with its siblings by their metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.stack.management import Figures, LoopLag, Pool
from deploy.update.watch import Look, find_problem

if TYPE_CHECKING:
    from collections.abc import Mapping


def look(
    requests: Mapping[str, int] | None = None,
    *,
    ready: bool = True,
    lag: tuple[int, float] | None = None,
) -> Look:
    figures = Figures(
        version="1",
        schema="0013",
        database_schema="0013",
        oldest_program="0013",
        started_at=None,
        memory_bytes=None,
        requests=requests or {},
        pool=Pool(10, 0, 1, 0),
        breakers={},
        loop_lag=LoopLag(lag[0], None, lag[1]) if lag else None,
    )
    return Look(ready, figures)


GOOD = [look({"2xx": 100}), look({"2xx": 500}), look({"2xx": 900})]


def test_one_that_does_what_its_siblings_do_is_good() -> None:
    assert find_problem(GOOD, [GOOD]) == ""


def test_one_that_is_not_ready_is_bad_when_a_sibling_is() -> None:
    unready = [look(ready=False)] * 3
    assert "ready" in find_problem(unready, [GOOD])
    assert "ready" in find_problem(unready, [unready, GOOD])
    assert "ready" in find_problem(unready, [])


def test_one_that_is_not_ready_for_a_moment_is_good() -> None:
    assert find_problem([*GOOD, look(ready=False), look(ready=False)], [GOOD]) == ""


def test_one_that_is_not_ready_like_all_others_is_good() -> None:
    unready = [look(ready=False)] * 3
    assert find_problem(unready, [unready]) == ""


def test_server_errors_since_the_first_look_are_bad() -> None:
    mine = [look({"2xx": 100, "5xx": 50}), look({"2xx": 200, "5xx": 60})]
    assert find_problem(mine, [GOOD]) == "10 of 110 answers are server errors (5xx)"
    assert find_problem([mine[0], look({"2xx": 200, "5xx": 52})], [GOOD]) == ""
    assert find_problem([mine[0], look({"2xx": 2000, "5xx": 55})], [GOOD]) == ""


def test_server_errors_that_the_siblings_have_as_well_are_no_fault() -> None:
    mine = [look({"2xx": 0}), look({"2xx": 100, "5xx": 10})]
    assert find_problem(mine, [mine]) == ""


def test_a_late_event_loop_is_bad() -> None:
    late = [look(lag=(10, 0.002)), look(lag=(20, 1.0))]
    assert "event loop" in find_problem(late, [[look(lag=(10, 0.002)), look(lag=(20, 0.002))]])
    assert find_problem(late, [late]) == ""
    # Late before it was watched.
    past = [look(lag=(10, 5.0)), look(lag=(20, 2.5))]
    assert find_problem(past, [[look(lag=(10, 0.002)), look(lag=(20, 0.002))]]) == ""


def test_one_without_an_answer_is_not_ready() -> None:
    assert "ready" in find_problem([Look(ready=False, figures=None)] * 3, [GOOD])
