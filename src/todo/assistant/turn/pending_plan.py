"""Pending plan of a conversation: its creation, application and deletion."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import orjson

from todo.api.idempotency import Repeatable
from todo.api.responses import StoredResponse
from todo.api.write import WriteHandler, execute_write
from todo.app_state import AppState
from todo.assistant.turn.planned_operations import join_operations
from todo.core.caller import Caller
from todo.core.errors import BatchFailedError, ProblemError
from todo.core.timestamps import format_timestamp
from todo.mcp.tool import Json
from todo.plans.document import get_status, render_plan
from todo.plans.errors import PlanOutdatedError
from todo.plans.operation import PlanOperation
from todo.plans.outcome import count_outcome
from todo.plans.repository import PlanRepository
from todo.plans.service import PlanService, parse_operations, prepare_apply, prepare_operations
from todo.tasks.batch import Operation
from todo.tasks.recurrence import RuleEvaluation
from todo.tasks.schemas import MAX_BATCH
from todo.writes.unit_of_work import UnitOfWork

_SHOWN = ("id", "summary", "changes", "changes_omitted", "expires_at")

_OPERATIONS = "operations."


class PlanTooLongError(Exception):
    """The operations exceed the limit of one plan; no plan was created."""


class PendingPlans:
    """Plans of one user; `key` is a prefix of idempotency keys that is unique for the turn."""

    def __init__(self, state: AppState, caller: Caller, key: str) -> None:
        self._state = state
        self._caller = caller
        self._key = key

    async def make(self, parts: Sequence[Sequence[Operation]], reason: str) -> Json:
        """Create one plan from the operations of several writes, and return it as JSON.

        Operations that fail are left out, so that the user can still confirm the others.

        Raises:
            PlanTooLongError: There are too many operations.
            ProblemError: As for `PlanService.create`.
        """
        operations = join_operations(parts)
        if len(operations) > MAX_BATCH:
            raise PlanTooLongError
        try:
            made = await self._make(operations, reason, "plan")
        except BatchFailedError as error:
            failed = {_read_index(str(each["field"])) for each in error.errors or ()}
            others = [each for at, each in enumerate(operations) if at not in failed]
            if not others:
                _name_tasks(error, operations)
                raise
            made = await self._make(others, reason, "smaller-plan")
        return {name: made[name] for name in _SHOWN}

    async def _make(self, operations: list[Operation], reason: str, key: str) -> Json:
        rules = RuleEvaluation()
        await prepare_operations(rules, operations)

        async def act(work: UnitOfWork) -> StoredResponse:
            plan = await PlanService(work, rules).create(operations, reason=reason)
            outcome.name = "created"
            return StoredResponse(201, render_plan(plan, work.timestamp))

        with count_outcome(self._state.metrics.count_plan) as outcome:
            return await self._write(act, key)

    async def find_operations(self, plan_id: str) -> frozenset[str]:
        """Return the types of a plan's operations, such as "delete"; empty without a plan."""
        async with self._state.database.reading(self._caller.user) as session:
            plan = await PlanRepository(session, self._caller).find(plan_id)
        operations = [] if plan is None else parse_operations(plan.operations)
        return frozenset(each["op"] for each in operations)

    async def show(self, plan_id: str, now: datetime) -> Json | None:
        """Return a plan as JSON, or None if it is no longer open."""
        async with self._state.database.reading(self._caller.user) as session:
            plan = await PlanRepository(session, self._caller).find(plan_id)
        timestamp = format_timestamp(now)
        if plan is None or get_status(plan, timestamp) != "open":
            return None
        shown: Json = orjson.loads(render_plan(plan, timestamp))
        return {name: shown[name] for name in (*_SHOWN, "reason")}

    async def is_applied(self, plan_id: str) -> bool:
        """Return whether a plan was applied, by the assistant or by another client."""
        async with self._state.database.reading(self._caller.user) as session:
            plan = await PlanRepository(session, self._caller).find(plan_id)
        return plan is not None and plan.applied_at is not None

    async def apply(self, plan_id: str) -> Json:
        """Apply a plan and return the results.

        Raises:
            ProblemError: As for `PlanService.apply`.
        """
        rules = RuleEvaluation()
        async with self._state.database.reading(self._caller.user) as session:
            await prepare_apply(session, self._caller, rules, plan_id)
            plan = await PlanRepository(session, self._caller).find(plan_id)

        async def act(work: UnitOfWork) -> StoredResponse:
            results = await PlanService(work, rules).apply(plan_id)
            outcome.name = "applied"
            return StoredResponse(200, results)

        with count_outcome(self._state.metrics.count_plan) as outcome:
            try:
                return await self._write(act, "apply")
            except PlanOutdatedError as error:
                _name_tasks(error, [] if plan is None else parse_operations(plan.operations))
                raise

    async def delete(self, plan_id: str) -> None:
        """Delete a plan without applying it.

        Raises:
            NotFoundError: The plan does not exist.
        """

        async def act(work: UnitOfWork) -> StoredResponse:
            await PlanService(work).delete(plan_id)
            return StoredResponse(200, b"{}")

        await self._write(act, "delete")

    async def _write(self, act: WriteHandler, name: str) -> Json:
        key = f"{self._key}/{name}"
        # A unique key, for a token that requires one.
        repeatable = Repeatable(key, hashlib.sha256(key.encode()).digest())
        response = await execute_write(self._state, self._caller, act, repeatable)
        found: Json = orjson.loads(response.body or b"{}")
        return found


def _name_tasks(error: ProblemError, operations: Sequence[PlanOperation]) -> None:
    """Replace operation numbers with task IDs in the fields of an error."""
    errors = [dict(each) for each in error.errors or ()]
    for each in errors:
        if str(each["field"]).startswith(_OPERATIONS):
            operation = operations[_read_index(str(each["field"]))]
            each["field"] = f"task/{operation.get('id', 'new')}"
    error.errors = errors


def _read_index(field: str) -> int:
    """Return the operation number in the field of a batch error."""
    return int(field.split(".")[1])
