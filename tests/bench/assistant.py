"""Benchmark of the assistant on its test messages: rules, a model, and both together.

Rules decide without a model. With `--model-url`, a model server is asked about each message, in the
way of the assistant for small models: a JSON schema for intent and tasks. The column `model` is its
choice as it is, with the texts cut from the message; `both` is the assistant: rules first, and the
choice of the model where they don't decide and the message supports it. An answer takes seconds, so
a model is asked only about the messages that were not written beside the rules.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.unit.todo.assistant.rules.utterance_book import (
    BOOKS,
    MADE_FOR_RULES,
    Utterance,
    context_of,
    judge,
    load_utterances,
)
from todo.assistant.model.client import ModelError, ModelRequest
from todo.assistant.model.http_client import HttpModelClient
from todo.assistant.rules.engine import decide
from todo.assistant.rules.line import make_line
from todo.assistant.rules.model_choice import cut, fill
from todo.assistant.turn.prompt import (
    DECISION_INTENTS,
    DECISION_SCHEMA,
    choose_tasks,
    render_decision_prompt,
)
from todo.config.settings import Settings
from todo.observability.assistant_metrics import AssistantMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from todo.assistant.rules.decision import Decision, Intent, RuleContext, TaskName

_MAX_TOKENS = 96
_TIMEOUT_S = 3600.0
_RULES_ONLY = {"undo", "confirm", "decline"}
_MARKS = {"right": ".", "undecided": "-", "wrong": "x"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a model chose; intent None for nothing, or for an invalid answer."""

    intent: Intent | None
    tasks: Sequence[TaskName]


@dataclass(slots=True)
class Column:
    """The verdicts of one way to decide, by kind of message."""

    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, utterance: Utterance, decision: Decision | None) -> None:
        """Count a decision."""
        verdict = judge(utterance, decision)
        for row in (utterance.kind, utterance.book, "all"):
            self.verdicts[row, verdict] += 1

    def count(self, row: str, verdict: str) -> int:
        """Return how often a verdict was given."""
        return self.verdicts[row, verdict]


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of the rules' time")
    parser.add_argument("--model-url", help="as in TODO_AI_URL")
    options = parser.parse_args()
    utterances = load_utterances()
    if options.model_url:
        utterances = tuple(each for each in utterances if each.book != MADE_FOR_RULES)
    rules = Column()
    for each in utterances:
        rules.add(each, decide(each.text, context_of(each)))
    columns = {"rules": rules}
    if options.model_url:
        try:
            columns |= asyncio.run(_measure_model(options.model_url, utterances))
        except ModelError as error:
            sys.stderr.write(f"the model server does not answer: {error}; is it ready?\n")
            return 1
    _print_table(columns, utterances)
    _print_cost(utterances, options.rounds)
    worse = _find_worse(columns)
    if worse:
        sys.stdout.write(f"both together are worse than one of them: {', '.join(worse)}\n")
    return 1 if worse else 0


async def _measure_model(url: str, utterances: Sequence[Utterance]) -> dict[str, Column]:
    limits = {"ai_first_token_timeout_s": 600, "ai_run_timeout_s": _TIMEOUT_S}
    settings = Settings(ai_url=url, ai_mode="json_schema", **limits)  # type: ignore[arg-type]
    client = HttpModelClient(settings, AssistantMetrics())
    model, both, times_s = Column(), Column(), []
    try:
        for each in utterances:
            context = context_of(each)
            start = time.monotonic()
            choice = await _ask(client, each, context)
            times_s.append(time.monotonic() - start)
            alone = _cut(choice, each, context)
            together = decide(each.text, context) or _fill(choice, each, context)
            model.add(each, alone)
            both.add(each, together)
            marks = _MARKS[judge(each, alone)] + _MARKS[judge(each, together)]
            sys.stderr.write(f"{marks} {each.kind}: {each.text!r} {choice.intent}\n")
    finally:
        await client.close()
    median, slowest = statistics.median(times_s), max(times_s)
    sys.stdout.write(f"seconds an answer: median {median:.1f}, slowest {slowest:.1f}\n")
    return {"model": model, "both": both}


async def _ask(client: HttpModelClient, utterance: Utterance, context: RuleContext) -> Choice:
    tasks = choose_tasks(context.tasks)
    messages = render_decision_prompt(tasks, context.list_names, (), utterance.text)
    request = ModelRequest(messages, schema=DECISION_SCHEMA, max_tokens=_MAX_TOKENS)
    try:
        answer: Any = json.loads((await client.ask(request)).text)
        intent, numbers = answer["intent"], answer["tasks"]
    except ModelError as error:
        if error.reason != "invalid":
            raise
        return Choice(None, ())
    except (KeyError, TypeError, ValueError):
        return Choice(None, ())
    if intent not in DECISION_INTENTS or intent == "none":
        return Choice(None, ())
    return Choice(intent, [tasks[each - 1] for each in numbers if 1 <= each <= len(tasks)])


def _cut(choice: Choice, utterance: Utterance, context: RuleContext) -> Decision | None:
    if choice.intent is None:
        return None
    line = make_line(" ".join(utterance.text.split()))
    return cut(choice.intent, choice.tasks, line, context)


def _fill(choice: Choice, utterance: Utterance, context: RuleContext) -> Decision | None:
    if choice.intent is None:
        return None
    return fill(choice.intent, choice.tasks, utterance.text, context)


def _find_worse(columns: dict[str, Column]) -> list[str]:
    """Return the kinds of messages of which both together get fewer right than one of them."""
    if "both" not in columns:
        return []
    kinds = dict.fromkeys(each.kind for each in load_utterances())
    return [
        kind
        for kind in kinds
        if columns["both"].count(kind, "right")
        < max(columns[name].count(kind, "right") for name in ("rules", "model"))
    ]


def _print_table(columns: dict[str, Column], utterances: Iterable[Utterance]) -> None:
    sizes: Counter[str] = Counter()
    for each in utterances:
        sizes.update((each.kind, each.book, "all"))
    books = [name for name in BOOKS if name in sizes]
    rows = [*(name for name in sizes if name not in {*BOOKS, "all"}), *books, "all"]
    heads = [f"{name} right (wrong)" for name in columns]
    sys.stdout.write(
        f"| messages | number | {' | '.join(heads)} |\n| --- |{' --- |' * (1 + len(heads))}\n"
    )
    for row in rows:
        cells = [_render_cell(name, column, row) for name, column in columns.items()]
        sys.stdout.write(f"| {row} | {sizes[row]} | {' | '.join(cells)} |\n")


def _render_cell(name: str, column: Column, row: str) -> str:
    if name == "model" and row in _RULES_ONLY:
        return "not asked"
    return f"{column.count(row, 'right')} ({column.count(row, 'wrong')})"


def _print_cost(utterances: Iterable[Utterance], rounds: int) -> None:
    costs = sorted(
        min(_cost_ms(each.text, context_of(each)) for _ in range(rounds)) for each in utterances
    )
    median, slowest = statistics.median(costs), costs[-1]
    sys.stdout.write(f"CPU ms a message, rules: median {median:.2f}, slowest {slowest:.2f}\n")


def _cost_ms(text: str, context: RuleContext) -> float:
    start = time.process_time_ns()
    decide(text, context)
    return (time.process_time_ns() - start) / 1e6


if __name__ == "__main__":
    sys.exit(main())
