"""Recurring tasks: applies the rules of `todo.schedule` to task documents."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from typing import TypedDict, TypeVar, TypeVarTuple

from todo.core.domain import NewTask, Task, TaskChanges, TaskDue, TaskRule
from todo.core.time_budget import TimeBudget, TimeBudgetExceededError
from todo.core.timestamps import format_timestamp
from todo.core.validation_errors import field_error
from todo.schedule.due import check_zone
from todo.schedule.rule import read_rule
from todo.schedule.series import forget_start, next_due, normalize, parse_rule
from todo.tasks.document import read_due
from todo.text.search_words import join_words, render_words

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")

EVALUATION_S = 0.5
"""CPU time limit for all rules of a request, in seconds; a batch of 100 rules uses a fiftieth."""
WORDS_S = 2.0
"""CPU time limit for the search words of a request, in seconds; a full batch uses a tenth."""
# Computing the words of a shorter text costs less than a thread switch.
_MAX_SHORT_LENGTH = 500
# One thread for all requests, so that only one competes with the event loop for the GIL. It runs
# one rule at a time, so that no request waits for all rules of another.
_thread = ThreadPoolExecutor(1, thread_name_prefix="rules")


class NextOccurrence(TypedDict):
    """Fields in which the next task of a series differs from the completed one."""

    due_date: str | None
    due_at: str | None
    recurrence: str


class RuleEvaluation:
    """Evaluation of the rules and search words of one request, within time limits."""

    def __init__(self, limit_s: float = EVALUATION_S, words_s: float = WORDS_S) -> None:
        self._budget = TimeBudget(limit_s)
        self._words_budget = TimeBudget(words_s)
        # Search words by text.
        self._words: dict[str, str] = {}

    async def run(
        self, function: Callable[[*_Arguments], _Result], *arguments: *_Arguments
    ) -> _Result:
        """Call a function that evaluates a rule, in the thread for rules.

        Raises:
            ValidationFailedError: The CPU time limit of the request is exceeded.
        """
        message = "the rules of this request take too long to evaluate; send fewer at once"
        return await self._spend(self._budget, "recurrence", message, function, *arguments)

    async def render_searched(self, task: Task) -> str:
        """Return the search words of a task.

        Raises:
            ValidationFailedError: The CPU time limit of the request is exceeded.
        """
        title = await self._render_words("title", task["title"])
        description = await self._render_words("description", task["description"] or "")
        return join_words(task["owner"], title, description)

    async def _render_words(self, field: str, text: str) -> str:
        words = self._words.get(text)
        if words is None:
            if text.isascii() or len(text) <= _MAX_SHORT_LENGTH:
                words = render_words(text)
            else:
                message = "the texts of this request take too long to index; send fewer at once"
                words = await self._spend(self._words_budget, field, message, render_words, text)
            self._words[text] = words
        return words

    async def _spend(
        self,
        budget: TimeBudget,
        field: str,
        message: str,
        function: Callable[[*_Arguments], _Result],
        *arguments: *_Arguments,
    ) -> _Result:
        def spend() -> _Result:
            with budget.spend():
                return function(*arguments)

        try:
            return await asyncio.get_running_loop().run_in_executor(_thread, spend)
        except TimeBudgetExceededError:
            raise field_error(field, message, code="too-costly") from None

    async def prepare(self, fields: NewTask | TaskChanges) -> None:
        """Evaluate the rule and the texts of a request body before the write takes locks.

        The results are cached for the write.

        Raises:
            ValidationFailedError: The rule is invalid or never occurs, or a time limit is exceeded.
        """
        await self._render_words("title", fields.get("title") or "")
        await self._render_words("description", fields.get("description") or "")
        recurrence = fields.get("recurrence")
        if recurrence is None:
            return
        rule: TaskRule = {
            "due_date": fields.get("due_date"),
            "due_at": fields.get("due_at"),
            "due_zone": fields.get("due_zone"),
            "recurrence": recurrence,
            "recurrence_from": fields.get("recurrence_from", "schedule"),
        }
        try:
            await self.run(_evaluate, recurrence, rule)
        except ValueError as error:
            message = str(error)
            raise field_error("recurrence", message) from None


def _evaluate(recurrence: str, rule: TaskRule) -> None:
    parse_rule(recurrence)
    # The day may differ in the account's time zone; the write evaluates that day.
    with contextlib.suppress(ValueError):
        normalize_rule(recurrence, rule)


def normalize_rule(recurrence: str, rule: TaskRule) -> str:
    """Return a recurrence rule in the form that is stored with a task's due date or time.

    Raises:
        ValueError: The rule is invalid or never occurs.
    """
    day, at = read_due(rule)
    normal = normalize(
        parse_rule(recurrence),
        due_date=day,
        due_at=at,
        due_zone=_zone(rule),
        basis=rule["recurrence_from"],
    )
    return str(normal)


def find_next(
    done: Task, recurrence: str, completed_at: datetime, account_zone: tzinfo
) -> NextOccurrence | None:
    """Return the fields in which the next task differs; None if the series ends."""
    day, at = read_due(done)
    following = next_due(
        read_rule(recurrence),
        due_date=day,
        due_at=at,
        due_zone=_zone(done),
        basis=done["recurrence_from"],
        completed_at=completed_at,
        account_zone=account_zone,
    )
    if following is None:
        return None
    next_day, next_at = following.due_date, following.due_at
    return {
        "due_date": None if next_day is None else next_day.isoformat(),
        "due_at": None if next_at is None else format_timestamp(next_at),
        "recurrence": str(following.rule),
    }


def forget_start_days(recurrence: str, start: TaskDue) -> str:
    """Return a rule without the days that were derived from its start."""
    day, at = read_due(start)
    rule = read_rule(recurrence)
    return str(forget_start(rule, due_date=day, due_at=at, due_zone=_zone(start)))


def _zone(due: TaskDue) -> tzinfo | None:
    return None if due["due_zone"] is None else check_zone(due["due_zone"])
