"""Decision by rules about a message that may answer a question ("which one do you mean?").

The candidates of a question are not stored. Instead, the rules decide the previous message again,
and must arrive at the question that the user saw. So a number denotes the task shown with it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from todo.assistant.rules.choice import NONE, choose
from todo.assistant.rules.decision import Decision, RuleContext, TaskName
from todo.assistant.rules.engine import decide
from todo.assistant.rules.reply import decide_reply
from todo.assistant.rules.unknown_task import explain
from todo.assistant.turn.answer import EarlierMessage
from todo.assistant.turn.answer_text import QUESTION, say_candidates

_MANY_TASKS = 300
_POSSIBLE_PLANS = tuple(map(frozenset[str], ((), ("delete",), ("complete",))))
"""Operations that a pending plan may have, because the meaning of a reply depends on them."""
_CERTAIN = frozenset({"other-state"})
"""Kinds of help that a model cannot improve: the task is already open or completed."""
_MAX_ROUNDS = 20
"""Maximum number of rounds; a question shows only some of the tasks that match."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A message that matches several tasks; `context` lacks those that later answers excluded."""

    message: str
    context: RuleContext
    decision: Decision


async def decide_by_rules(
    message: str, context: RuleContext, history: Sequence[EarlierMessage], *, explains: bool
) -> Decision | None:
    """Return the rules' decision; with many tasks, it is made in a thread and takes up to 0.3 s.

    With `explains`, that is if no model follows, explain why a command has no effect.
    """
    arguments = (message, context, history)
    if len(context.tasks) < _MANY_TASKS:
        found = _decide(*arguments)
    else:
        found = await asyncio.to_thread(_decide, *arguments)
    if found is not None:
        return found
    explained = await explain_command(message, context)
    is_certain = explained is not None and explained.text in _CERTAIN
    return explained if explains or is_certain else None


async def explain_command(message: str, context: RuleContext) -> Decision | None:
    """Explain why an undecided command has no effect, such as an unknown task; otherwise None."""
    if len(context.tasks) < _MANY_TASKS:
        return explain(message, context)
    return await asyncio.to_thread(explain, message, context)


def needs_calls(message: str) -> bool:
    """Return whether a message requires tool calls to be left in the budget.

    Without them, a user can still confirm or discard a plan, and undo.
    """
    return all(decide_reply(message, plan) is None for plan in _POSSIBLE_PLANS)


def _decide(
    message: str, context: RuleContext, history: Sequence[EarlierMessage]
) -> Decision | None:
    decision = decide(message, context)
    asked = _find_question(context, history) if decision is None else None
    if asked is None:
        return decision
    if NONE.fullmatch(message.strip(" .!").lower()):
        return Decision("help", "none-chosen")
    return _answer(asked, message)


def _find_question(context: RuleContext, history: Sequence[EarlierMessage]) -> _Question | None:
    """Return the question that the last answer contains, if any."""
    if [each.role for each in history[-2:]] != ["user", "assistant"]:
        return None
    message, shown = history[-2].content, history[-1].content
    if QUESTION not in shown:
        return None
    asked: _Question | None = _Question(message, context, Decision("help"))
    decision = decide(message, context)
    if decision is None:
        # The previous message answered another question.
        earlier = _find_question(context, history[:-2])
        asked = None if earlier is None else _narrow(earlier, message)
        decision = None if asked is None else asked.decision
    if asked is None or decision is None or say_candidates(decision.candidates) not in shown:
        return None
    return replace(asked, decision=decision)


def _narrow(asked: _Question, answer: str) -> _Question | None:
    """Return the question that remains after an answer."""
    match = choose(answer, asked.decision.candidates)
    kept = match.found or match.candidates
    return _keep(asked, kept, is_sure=bool(match.found)) if match else None


def _answer(asked: _Question, answer: str) -> Decision | None:
    """Return the decision about the tasks that an answer chooses; None if it is not an answer."""
    match = choose(answer, asked.decision.candidates)
    if not match.found:
        left = _keep(asked, match.candidates, is_sure=False) if match else None
        return None if left is None else left.decision
    made = [_keep(asked, [task], is_sure=True) for task in match.found]
    decisions = [each.decision for each in made if each is not None]
    first = decisions[0] if len(decisions) == len(made) else asked.decision
    if len(made) == 1 or any(each.candidates or each.fields != first.fields for each in decisions):
        return first
    tasks = {task.id: task for each in decisions for task in each.tasks}
    return replace(first, tasks=tuple(tasks.values()))


def _keep(asked: _Question, kept: Sequence[TaskName], *, is_sure: bool) -> _Question | None:
    """Return a question without the candidates that an answer excludes.

    With `is_sure`, the answer chooses all `kept` candidates, even if the question is about
    similar words.
    """
    ids = {task.id for task in kept}
    for _ in range(_MAX_ROUNDS):
        others = {task.id for task in asked.decision.candidates} - ids
        left = (task for task in asked.context.tasks if task.id not in others)
        tasks = [replace(each, is_chosen=is_sure and each.id in ids) for each in left]
        context = replace(asked.context, tasks=tasks)
        decision = decide(asked.message, context)
        if decision is None or decision.intent != asked.decision.intent:
            return None
        asked = _Question(asked.message, context, decision)
        if ids.isdisjoint(task.id for task in decision.candidates) or not others:
            return asked
    return None
