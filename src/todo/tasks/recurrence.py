"""Recurring tasks: applies the rules of `todo.schedule` to the documents of tasks."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from typing import Any, TypeVar

from todo.core.time_budget import TimeBudget, TimeBudgetExceededError
from todo.core.timestamps import format_timestamp
from todo.core.validation_errors import field_error
from todo.schedule.due import check_zone
from todo.schedule.rule import read_rule
from todo.schedule.series import forget_start, next_due, normalise, parse_rule
from todo.tasks.document import Document, read_due
from todo.text.search_words import join_words, render_words

_Result = TypeVar("_Result")

EVALUATION_S = 0.5
"""Processor time for all rules of a request; those of a full batch take a tenth."""
WORDS_S = 2.0
"""Processor time for the words of all texts of a request; those of a full batch take a tenth."""
# Words of a shorter text cost less than a change of threads.
_MAX_SHORT_LENGTH = 500
# One thread for all requests, one rule at a time: whatever waits in it, the event loop has to share
# the interpreter with one thread only, and no request waits for all rules of another.
_thread = ThreadPoolExecutor(1, thread_name_prefix="rules")


class RuleEvaluation:
    """Evaluates the rules of one request and makes the words of its texts, within budgets."""

    def __init__(self, limit_s: float = EVALUATION_S, words_s: float = WORDS_S) -> None:
        """Grant the request so many seconds for its rules, and for the words of its texts."""
        self._budget = TimeBudget(limit_s)
        self._words_budget = TimeBudget(words_s)
        # Text -> words.
        self._words: dict[str, str] = {}

    async def run(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        """Call a function that evaluates a rule.

        Raises:
            ValidationFailedError: The request has spent its budget.
        """
        message = "the rules of this request take too long to evaluate; send fewer at once"
        return await self._spend(self._budget, "recurrence", message, function, *arguments)

    async def render_searched(self, document: Document) -> str:
        """Return the text by which a task is found.

        Raises:
            ValidationFailedError: The request has spent its budget.
        """
        title = await self._render_words("title", document["title"])
        description = await self._render_words("description", document["description"] or "")
        return join_words(document["owner"], title, description)

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
        function: Callable[..., _Result],
        *arguments: object,
    ) -> _Result:
        def spend() -> _Result:
            with budget.spend():
                return function(*arguments)

        try:
            return await asyncio.get_running_loop().run_in_executor(_thread, spend)
        except TimeBudgetExceededError:
            raise field_error(field, message, code="too-costly") from None

    async def prepare(self, fields: dict[str, Any]) -> None:
        """Evaluate rule and texts of a body before the write starts, whose locks others wait for.

        The results are remembered, so the write finds them at once.

        Args:
            fields: Of `TaskCreate` or `TaskUpdate`, as JSON has them.

        Raises:
            ValidationFailedError: It is not a rule, it never occurs, or the budget is spent.
        """
        for name in ("title", "description"):
            await self._render_words(name, fields.get(name) or "")
        if fields.get("recurrence") is None:
            return
        try:
            await self.run(_evaluate, fields)
        except ValueError as error:
            message = str(error)
            raise field_error("recurrence", message) from None


def _evaluate(fields: dict[str, Any]) -> None:
    parse_rule(fields["recurrence"])
    # With the account's zone it may be another day: then the write evaluates that one.
    absent: Document = dict.fromkeys(("due_date", "due_at", "due_zone"))
    with contextlib.suppress(ValueError):
        normalize_rule({**absent, "recurrence_from": "schedule", **fields})


def normalize_rule(document: Document) -> str:
    """Return a task's rule as it is stored with its due.

    Raises:
        ValueError: It is not a rule, or never occurs.
    """
    day, at = read_due(document)
    rule = normalise(
        parse_rule(document["recurrence"]),
        due_date=day,
        due_at=at,
        due_zone=_zone(document),
        basis=document["recurrence_from"],
    )
    return str(rule)


def find_next(
    done: Document, completed_at: datetime, account_zone: tzinfo
) -> dict[str, Any] | None:
    """Return what the task that follows a completed one has instead; None ends the series."""
    day, at = read_due(done)
    following = next_due(
        read_rule(done["recurrence"]),
        due_date=day,
        due_at=at,
        due_zone=_zone(done),
        basis=done["recurrence_from"],
        completed_at=completed_at,
        account_zone=account_zone,
    )
    if following is None:
        return None
    at = following.due_at
    return {
        "due_date": following.due_date and following.due_date.isoformat(),
        "due_at": at and format_timestamp(at),
        "recurrence": str(following.rule),
    }


def forget_start_days(document: Document) -> str:
    """Return a task's rule without the days that its start had written into it."""
    day, at = read_due(document)
    rule = read_rule(document["recurrence"])
    return str(forget_start(rule, due_date=day, due_at=at, due_zone=_zone(document)))


def _zone(document: Document) -> tzinfo | None:
    return document["due_zone"] and check_zone(document["due_zone"])
