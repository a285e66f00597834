"""The rules of one request share a budget, and are evaluated before its transaction."""

import asyncio
import threading
from typing import Any

import pytest

from tests.unit.todo.tasks.examples import TASK
from todo.core.domain import TaskChanges
from todo.core.errors import ValidationFailedError
from todo.tasks.batch import prepare_batch
from todo.tasks.recurrence import RuleEvaluation
from todo.text.search_words import render_searched

NEVER: TaskChanges = {"recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}
WEEKLY: TaskChanges = {"recurrence": "FREQ=WEEKLY", "due_date": "2026-11-25"}


def refuse(evaluation: RuleEvaluation, fields: TaskChanges) -> dict[str, Any]:
    with pytest.raises(ValidationFailedError) as caught:
        asyncio.run(evaluation.prepare(fields))
    assert caught.value.errors is not None
    (error,) = caught.value.errors
    return dict(error)


def test_a_rule_that_never_occurs_is_refused_before_the_write() -> None:
    error = refuse(RuleEvaluation(), NEVER)

    assert (error["field"], error["code"]) == ("recurrence", "invalid")
    assert "never occurs" in error["message"]


def test_a_spent_budget_refuses_a_rule_however_good_it_is() -> None:
    error = refuse(RuleEvaluation(0), WEEKLY)

    assert (error["field"], error["code"]) == ("recurrence", "too-costly")
    assert "send fewer at once" in error["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "t"},
        {"recurrence": None},
        WEEKLY,
        {"recurrence": "FREQ=MONTHLY", "due_at": "2026-11-25T10:00:00Z"},
        # Refused for another field, by the validation of all of them.
        {"recurrence": "FREQ=DAILY", "due_at": "2026-11-25T10:00:00Z", "due_zone": "Mars/Olympus"},
        # Only the write knows the due.
        {"recurrence": "FREQ=DAILY;INTERVAL=7;BYDAY=TU"},
        {"recurrence": "FREQ=DAILY;INTERVAL=7;BYDAY=TU", "due_date": "2026-11-25"},
    ],
)
def test_what_may_be_right_is_left_to_the_write(fields: TaskChanges) -> None:
    asyncio.run(RuleEvaluation().prepare(fields))


def test_a_batch_evaluates_all_its_rules_and_leaves_the_errors_to_the_write() -> None:
    given = [NEVER, WEEKLY]

    asyncio.run(prepare_batch(RuleEvaluation(), given))
    asyncio.run(prepare_batch(RuleEvaluation(0), given))


def test_the_words_of_a_text_are_made_before_the_write_and_once() -> None:
    evaluation = RuleEvaluation(words_s=1e-9)
    texts: TaskChanges = {"title": "報告 one", "description": "報告書を書く" * 500}

    async def write() -> str:
        await evaluation.prepare(texts)
        # The budget is spent: only what was prepared is found.
        return await evaluation.render_searched({**TASK, **texts})

    searched = render_searched(TASK["owner"], texts["title"], texts["description"])
    assert asyncio.run(write()) == searched


def test_a_spent_budget_refuses_long_texts() -> None:
    given: dict[str, TaskChanges] = {
        "title": {"title": "é" * 501},
        "description": {"description": "é" * 501},
    }
    for field, fields in given.items():
        error = refuse(RuleEvaluation(words_s=0), fields)
        assert (error["field"], error["code"]) == (field, "too-costly")
        assert "send fewer at once" in error["message"]


def test_short_and_ascii_texts_need_no_budget() -> None:
    fields: TaskChanges = {"title": "é" * 255, "description": "word " * 2000}

    asyncio.run(RuleEvaluation(words_s=0).prepare(fields))


def test_rules_are_evaluated_one_at_a_time_whatever_the_requests() -> None:
    running, most = [], []
    lock = threading.Lock()

    def evaluate() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        threading.Event().wait(0.01)
        with lock:
            running.pop()

    async def ask() -> None:
        await asyncio.gather(*(RuleEvaluation().run(evaluate) for _ in range(8)))

    asyncio.run(ask())

    assert max(most) == 1
    assert len(most) == 8
