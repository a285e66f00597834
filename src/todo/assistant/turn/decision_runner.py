"""Execution of a decision about a message, made by rules or by a model."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from todo.assistant.rules.decision import Decision
from todo.assistant.rules.line import is_quotation, unquote
from todo.assistant.turn import answer_text, failure_text
from todo.assistant.turn.context import read_context
from todo.assistant.turn.pending_plan import PendingPlans
from todo.assistant.turn.plan_text import say_applied
from todo.assistant.turn.refusal_text import find_refusal, say_omitted
from todo.assistant.turn.tool_runner import ToolRunner
from todo.assistant.turn.undo_target import find_run_to_undo
from todo.core.errors import (
    ForbiddenError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    UnavailableError,
)
from todo.mcp.tool import Json, ToolResult
from todo.mcp.tools.write import MAX_TASKS
from todo.tasks.schemas import MAX_BATCH

_APPLY = "apply_plan"
_DELETE = "delete_plan"
DISCARD = Decision("decline", "undo")
"""Decision of an undo that refers only to the pending plan."""


class DecisionRunner:
    """Runner of one turn's decision.

    Attributes:
        leaves_plan: Whether the plan stays pending because the reply was forbidden or rate-limited.
    """

    def __init__(
        self,
        tools: ToolRunner,
        plans: PendingPlans,
        runs: Sequence[str],
        open_plan: str | None,
    ) -> None:
        self._tools = tools
        self._plans = plans
        self._runs = runs
        self._open_plan = open_plan
        self._titles: failure_text.Titles = {}
        self.leaves_plan = False

    async def run(self, decision: Decision) -> str:
        """Carry out a decision and return the text of the answer.

        Raises:
            UnavailableError: The database is not available.
        """
        if decision.candidates:
            by_model = self._tools.caller.model is not None
            return answer_text.say_candidates(decision.candidates, by_model=by_model)
        actions = {
            "help": self._help,
            "add": self._add,
            "find": self._find,
            "undo": self._undo,
            "confirm": self._confirm,
            "decline": self._decline,
        }
        return await actions.get(decision.intent, self._run_on_tasks)(decision)

    async def _help(self, decision: Decision) -> str:
        refusal = find_refusal(decision.text, decision.fields)
        return refusal or answer_text.SMALL_TALK.get(decision.text, answer_text.HELP)

    async def _add(self, decision: Decision) -> str:
        # A quotation is a literal title; quick add would keep the quotation marks.
        lines = [
            {"title": unquote(line)} if is_quotation(line.strip()) else {"text": line}
            for line in decision.text.split("\n")
        ]
        return await self._change("add_tasks", lines, "Added")

    async def _run_on_tasks(self, decision: Decision) -> str:
        if not decision.tasks:
            return answer_text.WHICH_TASK
        named = [{"id": task.id, "version": task.version} for task in decision.tasks]
        self._titles = {task.id: task.title for task in decision.tasks}
        self._tools.guard.is_group = decision.affects_others
        said = answer_text.WHAT_CHANGE
        match decision.intent:
            case "complete":
                said = await self._change_all("complete_tasks", named, "Completed")
            case "reopen":
                said = await self._change_all("complete_tasks", named, "Reopened", reopen=True)
            case "delete":
                said = self._say_failure(await self._tools.propose_deletion(named), named)
            case "reschedule" if decision.text:
                moved = [{**task, "due": decision.text} for task in named]
                said = await self._change_all("reschedule_tasks", moved, "Moved")
            case "update" if decision.fields:
                updated = [{**task, **decision.fields} for task in named]
                said = await self._change_all("update_tasks", updated, "Changed")
        omitted = say_omitted(decision.omitted)
        return "\n".join(filter(None, (said, omitted)))

    async def _change_all(self, tool: str, tasks: Sequence[Json], verb: str, **more: bool) -> str:
        """Change tasks; if they exceed the limit of one call, two calls propose one plan."""
        if len(tasks) > MAX_BATCH:
            return failure_text.PLAN_TOO_LONG
        if len(tasks) <= MAX_TASKS:
            return await self._change(tool, tasks, verb, **more)
        # Neither half may be applied at once, although each is small enough.
        self._tools.guard.max_changed = 0
        half = len(tasks) // 2
        said = [
            await self._change(tool, part, verb, **more) for part in (tasks[:half], tasks[half:])
        ]
        return "\n".join(dict.fromkeys(filter(None, said)))

    async def _change(self, tool: str, tasks: Sequence[Json], verb: str, **more: bool) -> str:
        result = await self._tools.call(tool, {"tasks": list(tasks), **more})
        if result.is_error or "status" in result.structured:
            return self._say_failure(result, tasks)
        tools = self._tools
        return answer_text.say_changed(verb, result.structured, tools.updates, tools.caller)

    async def _find(self, decision: Decision) -> str:
        arguments = dict(decision.fields)
        if decision.text:
            arguments["query"] = decision.text
        result = await self._tools.call("find_tasks", arguments)
        if result.is_error:
            return self._say_failure(result)
        is_any = arguments.get("status") == "any"
        return answer_text.say_found(result.structured, of_any_state=is_any)

    async def _undo(self, decision: Decision) -> str:
        tools, run_id = self._tools, decision.run_id
        if run_id is None:
            run_id = await find_run_to_undo(tools.state.database, tools.caller, self._runs)
        if run_id is None:
            return answer_text.NOTHING_TO_UNDO
        result = await tools.call("undo", {"run_id": run_id}, is_guarded=False)
        if not result.is_error:
            return answer_text.say_undone(result.structured)
        context = await read_context(tools.state.database, tools.caller, tools.now, None)
        self._titles = context.titles
        return self._say_failure(result)

    async def _confirm(self, _decision: Decision) -> str:
        plan_id = self._open_plan
        if plan_id is None:
            return answer_text.NOTHING_PLANNED
        shown = await self._plans.show(plan_id, self._tools.now)
        shown = shown or {"summary": (), "changes": ()}
        self._titles = {str(each["id"]): each["title"] or "" for each in shown["changes"]}
        result: Json = {}

        async def apply() -> str:
            applied = await self._plans.apply(plan_id)
            result.update({name: applied[name] for name in ("id", "run_id", "applied_at")})
            self._tools.changed = True
            return say_applied(shown["summary"], self._tools.caller)

        said = await self._explain(apply, result)
        await self._tools.note(_APPLY, {"plan_id": plan_id}, result)
        return said

    async def _decline(self, decision: Decision) -> str:
        plan_id = self._open_plan
        if plan_id is None:
            return answer_text.NOTHING_PLANNED
        if await self._plans.is_applied(plan_id):
            return failure_text.PLAN_APPLIED

        async def delete() -> str:
            with contextlib.suppress(NotFoundError):
                await self._plans.delete(plan_id)
            return answer_text.DISCARDED if decision == DISCARD else answer_text.DECLINED

        result: Json = {}
        said = await self._explain(delete, result)
        await self._tools.note(_DELETE, {"plan_id": plan_id}, result)
        return said

    async def _explain(self, action: Callable[[], Awaitable[str]], result: Json) -> str:
        """Run an action and return its text; on an error, return the reason and add it to `result`.

        Raises:
            UnavailableError: The database is not available.
        """
        try:
            return await action()
        except UnavailableError:
            raise
        except ProblemError as error:
            self.leaves_plan = isinstance(error, (ForbiddenError, RateLimitedError))
            said = failure_text.say_refused(error, self._titles)
            result["error"] = {"code": error.code, "message": said}
            return said

    def _say_failure(self, result: ToolResult, tasks: Sequence[Json] = ()) -> str:
        """Return why a call failed, or "" for a proposal, which the text of the plan covers."""
        if not result.is_error:
            return ""
        return failure_text.say_failed(result.structured, tasks, self._titles)
