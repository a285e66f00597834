"""Loop of a model that calls tools, with a limited number of rounds and guarded calls."""

from collections.abc import Sequence
from typing import Any

import orjson

from todo.assistant.model.client import (
    ModelAnswer,
    ModelError,
    ModelRequest,
    ModelToolCall,
)
from todo.assistant.model.reading import reading_answer
from todo.assistant.turn.answer import EarlierMessage
from todo.assistant.turn.bounded_model import BoundedModel
from todo.assistant.turn.context import TurnContext
from todo.assistant.turn.model_decision import MAX_REPAIRS
from todo.assistant.turn.model_tools import ModelTools
from todo.assistant.turn.prompt import choose_tasks, render_tool_prompt
from todo.assistant.turn.response import Response
from todo.assistant.turn.tool_runner import DELETE, ToolRunner
from todo.mcp.quoting import escape
from todo.mcp.tool import Json, ToolError, ToolResult, render_failure
from todo.mcp.tools.account_time import render_heading

MAX_ROUNDS = 8
_MAX_CALLS = 10
"""Maximum number of calls in one round; further ones are rejected."""
_MAX_TOKENS = 1024
_NAME_LENGTH = 64
_MAX_ARGUMENTS = 20_000
_MAX_RESULTS = 64_000
"""Maximum number of result characters in one turn; each further request repeats all results."""
_TOO_MUCH = ToolError("The results are too long.", "answer with what is known.", code="too-much")
_TOO_MANY = ToolError("There are too many calls at once.", "make fewer calls.", code="too-many")


class ToolLoop:
    """Rounds of tool calls in one turn."""

    def __init__(self, model: BoundedModel, runner: ToolRunner) -> None:
        self._model = model
        self._runner = runner
        self._faults = 0
        self._given = 0

    async def run(
        self,
        context: TurnContext,
        history: Sequence[EarlierMessage],
        message: str,
        response: Response,
    ) -> None:
        """Run the model and its tool calls until it answers without a call.

        Raises:
            OverBudgetError: The user's token or cost budget is exhausted.
            ModelError: The model failed or exceeded the limits; earlier changes remain.
            UnavailableError: The database is not available.
        """
        rules = context.rules
        tasks = choose_tasks(rules.tasks)
        tools = ModelTools(self._runner.caller, tasks)
        today = render_heading(context.time.render())
        messages = render_tool_prompt(tasks, rules.list_names, history, message, today)
        for _ in range(MAX_ROUNDS):
            request = ModelRequest(messages, tools.offered, max_tokens=_MAX_TOKENS)
            response.start_text()
            answer = await self._model.ask(request, response.add_piece)
            if not answer.calls:
                return
            results = [
                await self._call(call, tools, place) for place, call in enumerate(answer.calls)
            ]
            messages = [*messages, _render_calls(answer), *results]
            if self._faults > MAX_REPAIRS:
                raise ModelError("invalid", "invalid calls")
        raise ModelError("invalid", "too many rounds")

    async def _call(self, call: ModelToolCall, tools: ModelTools, place: int) -> Json:
        try:
            if place >= _MAX_CALLS:
                raise _TOO_MANY
            if self._given >= _MAX_RESULTS:
                raise _TOO_MUCH
            with reading_answer(ToolError):
                arguments = tools.read_arguments(call.name, _parse(call.arguments))
        except ToolError as error:
            self._faults += 1
            result = render_failure(error)
            name = escape(call.name[:_NAME_LENGTH])
            await self._runner.note(name, {}, result.structured)
        else:
            result = await self._run(call.name, arguments)
        content = tools.render_result(result)
        self._given += len(content)
        return {"role": "tool", "tool_call_id": call.id, "content": content}

    async def _run(self, name: str, arguments: Json) -> ToolResult:
        if name == DELETE:
            result = await self._runner.propose_deletion(arguments.get("tasks", []))
        else:
            result = await self._runner.call(name, arguments)
        self._faults += result.is_error
        return result


def _parse(arguments: str) -> Any:  # noqa: ANN401 - JSON of a model
    if len(arguments) > _MAX_ARGUMENTS:
        raise ToolError("The arguments are too long.", "make several calls.")
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        raise ToolError("The arguments are not JSON.", "repeat the call with JSON.") from None


def _render_calls(answer: ModelAnswer) -> Json:
    return {
        "role": "assistant",
        "content": answer.text,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name[:_NAME_LENGTH],
                    "arguments": call.arguments[:_MAX_ARGUMENTS],
                },
            }
            for call in answer.calls
        ],
    }
