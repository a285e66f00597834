"""Runner of the assistant: one message becomes one answer, with or without a model.

Rules decide first. A model decides what they leave open; no database session is open meanwhile.
Without a model, or if it fails, the answer is marked as degraded.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from todo.app_state import AppState
from todo.assistant.model.client import ModelClient, ModelError
from todo.assistant.rules.decision import Decision
from todo.assistant.rules.reply import decide_reply, turns_away
from todo.assistant.turn import answer_text, failure_text
from todo.assistant.turn.answer import AGENT, EarlierMessage, Events, TurnAnswer
from todo.assistant.turn.bounded_model import BoundedModel, OverBudgetError
from todo.assistant.turn.budget import Budgets, TurnBudget
from todo.assistant.turn.context import TurnContext, read_context
from todo.assistant.turn.decision_runner import DISCARD, DecisionRunner
from todo.assistant.turn.guard import Guard
from todo.assistant.turn.model_decision import ask_for_decision
from todo.assistant.turn.pending_plan import PendingPlans, PlanTooLongError
from todo.assistant.turn.plan_text import add_old_titles, say_plan
from todo.assistant.turn.refusal_text import find_refusal
from todo.assistant.turn.response import Response
from todo.assistant.turn.rule_decision import decide_by_rules, explain_command, needs_calls
from todo.assistant.turn.tool_loop import ToolLoop
from todo.assistant.turn.tool_runner import ToolRunner
from todo.core.caller import Caller
from todo.core.errors import ForbiddenError, ProblemError, RateLimitedError, UnavailableError
from todo.core.ids import new_uuid7
from todo.mcp.tool import Json

OVER_BUDGET = "over-budget"
_MODEL_LENGTH = 64
_ANSWERS = frozenset({"confirm", "decline"})
"""Intents that answer a plan, which is then no longer pending."""
_TALK = _ANSWERS | {"find", "help"}
"""Intents that keep a plan pending or answer it; any other intent drops the plan."""


class Assistant:
    """The assistant of one process."""

    def __init__(self, state: AppState, model: ModelClient | None) -> None:
        self._state = state
        self._model = model
        self._model_name = state.settings.ai_model[:_MODEL_LENGTH]
        self._budgets = Budgets(state.settings)

    async def run(
        self,
        caller: Caller,
        message: str,
        history: Sequence[EarlierMessage],
        open_plan: str | None,
        events: Events,
        deadline_s: float,
        runs: Sequence[str] = (),
    ) -> TurnAnswer:
        """Process a message and return the answer; a failing model is not an error.

        Args:
            caller: User of the turn, whose run ID, or a new one, groups all changes.
            message: Message of the user.
            history: Earlier messages, oldest first.
            open_plan: ID of the conversation's pending plan; None without one.
            events: Sink for the parts of the answer.
            deadline_s: Timeout of the turn, in seconds.
            runs: Runs of this conversation with changes or possible changes, newest first.

        Raises:
            RateLimitedError: A budget of the user or the token is exhausted; nothing was done.
            UnavailableError: The database is not available; nothing was changed.
        """
        metrics = self._state.metrics.assistant
        started_at = time.monotonic()
        outcome = None
        try:
            with (
                metrics.running_turn(),
                self._budgets.spend(caller, needs_calls=needs_calls(message)) as budget,
            ):
                own = replace(
                    caller, agent=AGENT, model=None, run_id=caller.run_id or str(new_uuid7())
                )
                ends_at = started_at + deadline_s
                now = datetime.now(UTC)
                turn = _Turn(self._state, own, budget, events, now, history, open_plan, runs)
                await self._decide(turn, own, message, ends_at)
                answer = await turn.finish()
        except RateLimitedError:
            outcome = "refused"
            raise
        except asyncio.CancelledError:
            outcome = "canceled"
            raise
        else:
            outcome = turn.name_outcome()
            if answer.degraded is not None:
                metrics.count_degraded(answer.degraded)
            return answer
        finally:
            if outcome is not None:
                metrics.observe_turn(outcome, time.monotonic() - started_at)

    async def _decide(self, turn: "_Turn", caller: Caller, message: str, ends_at: float) -> None:
        """Run the rules' decision; otherwise let a model decide, or answer without one."""
        open_plan = await turn.find_planned()
        reply = decide_reply(message, open_plan)
        has_asked = any(answer_text.QUESTION in each.content for each in turn.history[-1:])
        if reply is None and open_plan is None and self._model is None and not has_asked:
            # Without a model, a "yes" can only refer to a plan that no longer exists.
            reply = decide_reply(message, frozenset())
        if reply is not None:
            # A reply such as "help" or "yes" names no task, so no tasks are read.
            await turn.carry_out(reply)
            return
        context = await read_context(self._state.database, caller, turn.now, open_plan)
        turn.use_context(context)
        can_read = "read" in caller.scopes
        # Without the read scope, a task that is not known may exist.
        explains = self._model is None and can_read
        decision = await decide_by_rules(message, context.rules, turn.history, explains=explains)
        if (decision is None or decision.intent == "help") and turns_away(message):
            turn.drop_plan()
        if decision is not None:
            await turn.carry_out(decision)
        elif not can_read and (
            self._model is None or await explain_command(message, context.rules) is not None
        ):
            # Without the read scope, a model cannot find the task either.
            await turn.refuse(ForbiddenError("read"))
        elif self._model is None:
            await turn.degrade("not-configured", message)
        elif not turn.budget.has_model():
            await turn.degrade(OVER_BUDGET, message)
        else:
            model = BoundedModel(self._model, turn.budget, ends_at)
            await turn.use_model(model, self._model_name, message, context)

    def check(self, caller: Caller, message: str) -> None:
        """Reject a message that exceeds a budget of `run`, before anything is stored.

        Raises:
            RateLimitedError: A budget of the user or the token is exhausted.
        """
        self._budgets.check(caller, needs_calls=needs_calls(message))

    def render_left(self, caller: Caller) -> dict[str, str]:
        """Return the rate-limit headers with the remaining budgets."""
        return self._budgets.render_left(caller)

    async def prepare(self) -> None:
        """Determine the model's request mode early, so that fewer messages wait for it."""
        if self._model is not None:
            # The next message that needs the model retries.
            with contextlib.suppress(ModelError):
                await self._model.get_mode()

    async def close(self) -> None:
        """Close the connections to the model server."""
        if self._model is not None:
            await self._model.close()


class _Turn:
    """State of one turn: its effects so far, and its answer."""

    def __init__(
        self,
        state: AppState,
        caller: Caller,
        budget: TurnBudget,
        events: Events,
        now: datetime,
        history: Sequence[EarlierMessage],
        open_plan: str | None,
        runs: Sequence[str],
    ) -> None:
        self.budget = budget
        self.now = now
        self.context: TurnContext | None = None
        self.history = history
        self._response = Response(events)
        # A client's run can span several turns, but an idempotency key must be unique.
        key = f"assistant/{new_uuid7()}"
        self._state = state
        self._key = key
        self._tools = ToolRunner(state, caller, now, key, Guard(by_model=False), budget, events)
        self._open_plan = open_plan
        self._runs = runs
        self._is_instruction = False
        self._degraded: str | None = None
        self._tokens = (0, 0)

    def use_context(self, context: TurnContext) -> None:
        self.context = context
        self._tools.list_names = context.list_names

    def drop_plan(self) -> None:
        """Drop the pending plan even if the message has no effect."""
        self._is_instruction = True

    async def find_planned(self) -> frozenset[str] | None:
        """Return the operations of the pending plan; None without one."""
        if self._open_plan is None:
            return None
        return await self._plans.find_operations(self._open_plan)

    async def use_model(
        self, model: BoundedModel, name: str, message: str, context: TurnContext
    ) -> None:
        """Let a model decide; if it fails, answer without it."""
        self._tools.caller = replace(self._tools.caller, model=name)
        self._tools.guard = Guard(by_model=True)
        try:
            if await model.get_mode() == "tools":
                await self._loop(model, message, context)
            else:
                await self._ask(model, message, context)
        except OverBudgetError:
            await self.degrade(OVER_BUDGET, message)
        except ModelError as error:
            is_deadline = error.reason == "timeout" and model.is_late
            await self.degrade("deadline" if is_deadline else error.reason, message)
        finally:
            self._tokens = (model.prompt_tokens, model.output_tokens)

    @property
    def _plans(self) -> PendingPlans:
        # Created on each access, because the caller changes as soon as a model decides.
        return PendingPlans(self._state, self._tools.caller, self._key)

    def name_outcome(self) -> str:
        """Return the outcome of the turn for the metrics."""
        if self._degraded is not None:
            return "degraded"
        return "rules" if self._tools.caller.model is None else "model"

    async def carry_out(self, decision: Decision) -> None:
        if decision.intent == "undo" and await self._means_plan(decision):
            decision = DISCARD
        runner = DecisionRunner(self._tools, self._plans, self._runs, self._open_plan)
        said = await runner.run(decision)
        if decision.intent in _ANSWERS and not runner.leaves_plan:
            self._open_plan = None
        self._is_instruction = self._is_instruction or decision.intent not in _TALK
        await self._response.say(said)

    async def _means_plan(self, undo: Decision) -> bool:
        """Return whether an undo refers to the pending plan: the last answer changed nothing."""
        has_changed = any(each.run_id is not None for each in self.history[-1:])
        is_general = undo.run_id is None and not has_changed
        return is_general and await self._find_waiting() is not None

    async def _ask(self, model: BoundedModel, message: str, context: TurnContext) -> None:
        made = await ask_for_decision(model, context.rules, self.history, message)
        if made.decision is not None:
            await self.carry_out(made.decision)
        elif explained := await self._explain(message):
            await self._response.say(explained)
        elif made.reply:
            await self._response.add_piece(made.reply)
            await self._response.say(answer_text.DECLINED)

    async def _explain(self, message: str) -> str | None:
        """Explain why a command has no effect; return None if the message is not a command."""
        if self.context is None or "read" not in self._tools.caller.scopes:
            # Without the read scope, a task that is not known may exist.
            return None
        found = await explain_command(message, self.context.rules)
        return None if found is None else find_refusal(found.text, found.fields)

    async def _loop(self, model: BoundedModel, message: str, context: TurnContext) -> None:
        loop = ToolLoop(model, self._tools)
        await loop.run(context, self.history, message, self._response)
        # The model's own description of its changes may be wrong.
        if self._tools.changed or not self._tools.proposed:
            await self._response.say(self._say_facts())

    def _say_facts(self) -> str:
        tools = self._tools
        return answer_text.say_facts(tools.uses, tools.updates, tools.caller)

    async def refuse(self, error: ProblemError) -> None:
        await self._response.say(failure_text.say_refused(error, {}))

    async def degrade(self, reason: str, message: str) -> None:
        """Answer a message without a model, as far as possible."""
        self._degraded = reason
        if self._tools.changed:
            await self._response.say(answer_text.STOPPED)
            await self._response.say(self._say_facts())
        elif not self._tools.proposed:
            explained = await self._explain(message)
            await self._response.say(explained or answer_text.say_degraded(reason))
        if reason == OVER_BUDGET:
            await self._response.say(answer_text.say_over_budget(*self.budget.find_wait()))

    async def finish(self) -> TurnAnswer:
        """Create or repeat the pending plan, and return the answer."""
        plan = await self._find_waiting()
        if plan is not None and (self._is_instruction or self._tools.was_asked_to_change):
            await self._response.say(answer_text.PLAN_DROPPED)
            await self._drop(str(plan["id"]))
            plan = None
        if self._tools.proposed:
            plan = await self._propose()
        elif plan is not None:
            await self._repeat(plan)
        if self._response.is_empty:
            await self._response.say(answer_text.NOT_UNDERSTOOD)
        read, written = self._tokens
        return TurnAnswer(
            response=self._response.text,
            tool_calls=tuple(self._tools.uses),
            run_id=self._tools.run_id,
            changed=self._tools.changed,
            plan=plan,
            degraded=self._degraded,
            prompt_tokens=read,
            output_tokens=written,
        )

    async def _find_waiting(self) -> Json | None:
        """Return the plan that was pending before this message, unless the message settled it."""
        if self._open_plan is None:
            return None
        try:
            return await self._plans.show(self._open_plan, self.now)
        except UnavailableError:
            if not self._tools.changed:
                raise
            return None

    async def _drop(self, plan_id: str) -> None:
        """Delete a plan that is no longer pending: a client may still show a button for it."""
        try:
            await self._plans.delete(plan_id)
        except UnavailableError:
            if not self._tools.changed:
                raise
        except ProblemError:
            # The plan was applied or deleted, or the token has exhausted its changes per hour.
            pass

    async def _repeat(self, plan: Json) -> None:
        """Show a plan again, because a "yes" must refer to the text that was shown last."""
        if self.context is None:
            database, caller = self._state.database, self._tools.caller
            self.use_context(await read_context(database, caller, self.now, None))
        reasons = [plan.pop("reason")]
        await self._response.say(self._say_plan(plan, reasons))

    def _say_plan(
        self, plan: Json, reasons: Sequence[str], old_titles: Mapping[str, str] | None = None
    ) -> str:
        known = self.context
        if known is None:
            return say_plan(plan, reasons, {}, (), old_titles)
        lists = (known.list_names, known.shared_lists, old_titles, known.list_owners)
        return say_plan(plan, reasons, *lists, known.titles)

    def _find_titles(self) -> Mapping[str, str]:
        return {} if self.context is None else self.context.titles

    async def _propose(self) -> Json | None:
        reasons = list(self._tools.reasons)
        try:
            plan = await self._plans.make(self._tools.proposed, ", ".join(reasons))
        except PlanTooLongError:
            await self._response.say(failure_text.PLAN_TOO_LONG)
        except UnavailableError:
            if not self._tools.changed:
                raise
            await self._response.say(answer_text.NO_PLAN)
        except ProblemError as error:
            await self._response.say(failure_text.say_refused(error, self._find_titles()))
        else:
            updates = self._tools.updates.tasks
            old = {task_id: before["title"] for task_id, (before, _) in updates.items()}
            await self._response.say(self._say_plan(plan, reasons, old))
            add_old_titles(plan, old)
            return plan
        return None
