"""Decisions of a model, requested with a JSON Schema and validated.

The model chooses the intent and the tasks. Everything else is extracted from the user's message.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from todo.assistant.model.client import ModelAnswer, ModelError, ModelRequest
from todo.assistant.model.reading import reading_answer
from todo.assistant.rules.decision import Decision, ModelIntent, RuleContext, TaskName
from todo.assistant.rules.model_choice import MAX_TASKS, fill
from todo.assistant.turn.answer import EarlierMessage
from todo.assistant.turn.bounded_model import BoundedModel
from todo.assistant.turn.prompt import DECISION_SCHEMA, choose_tasks, render_decision_prompt
from todo.mcp.tool import Json

MAX_REPAIRS = 2
"""Maximum number of retries after an invalid answer."""
_MAX_TOKENS = 256
_SHOWN_LENGTH = 500
_FENCE = re.compile(r"\A\s*```(?:json)?\s*|\s*```\s*\Z")


class _Choice(BaseModel):
    """JSON answer of the model."""

    model_config = ConfigDict(extra="ignore")

    intent: ModelIntent
    tasks: Annotated[list[int], Field(max_length=MAX_TASKS)] = Field(default_factory=list)
    reply: str = ""


@dataclass(frozen=True, slots=True)
class ModelDecision:
    """Decision of a model.

    Attributes:
        decision: None if the model only replies, or if the message does not support its choice.
        reply: Reply of the model, or "".
    """

    decision: Decision | None
    reply: str


async def ask_for_decision(
    model: BoundedModel, context: RuleContext, history: Sequence[EarlierMessage], message: str
) -> ModelDecision:
    """Request the interpretation of a message from a model.

    Raises:
        OverBudgetError: The user's token or cost budget is exhausted.
        ModelError: The model returned no valid answer.
    """
    tasks = choose_tasks(context.tasks)
    messages = render_decision_prompt(tasks, context.list_names, history, message)
    for _ in range(MAX_REPAIRS + 1):
        request = ModelRequest(messages, schema=DECISION_SCHEMA, max_tokens=_MAX_TOKENS)
        answer = await model.ask(request)
        try:
            with reading_answer(ValueError):
                choice = _read(answer, tasks)
        except ValueError as error:
            messages = [*messages, *_ask_again(answer, str(error))]
            continue
        if choice.intent == "none":
            return ModelDecision(None, choice.reply.strip())
        chosen = [tasks[number - 1] for number in choice.tasks]
        with reading_answer():
            decision = fill(choice.intent, chosen, message, context)
        return ModelDecision(decision, "")
    raise ModelError("invalid", "no valid decision")


def _read(answer: ModelAnswer, tasks: Sequence[TaskName]) -> _Choice:
    """Parse the choice of a model; raise ValueError with a message for the model if invalid."""
    try:
        choice = _Choice.model_validate_json(_FENCE.sub("", answer.text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "answer"
        raise ValueError(f"{place}: {first['msg']}") from None
    wrong = [number for number in choice.tasks if not 1 <= number <= len(tasks)]
    if wrong:
        raise ValueError(f"tasks: the list has no number {wrong[0]}")
    return choice


def _ask_again(answer: ModelAnswer, error: str) -> list[Json]:
    fault = f"That is not valid: {error}. Answer with the JSON object only."
    return [
        {"role": "assistant", "content": answer.text[:_SHOWN_LENGTH] or "{}"},
        {"role": "user", "content": fault},
    ]
