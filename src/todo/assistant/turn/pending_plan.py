"""The plan of a conversation that waits for the person: made, applied, or deleted."""

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
    """More operations than a plan may have; no plan was made."""


class PendingPlans:
    """The plans of one person."""

    def __init__(self, state: AppState, caller: Caller, key: str) -> None:
        """Use a person's plans.

        Args:
            state: The application's.
            caller: The person.
            key: Prefix of the idempotency keys: unique for a turn.
        """
        self._state = state
        self._caller = caller
        self._key = key

    async def make(self, parts: Sequence[Sequence[Operation]], reason: str) -> Json:
        """Make one plan of the operations of several writes; return what the person decides by.

        What cannot be done is left out: it must not keep the person from the rest.

        Raises:
            PlanTooLongError: There are too many operations.
            ProblemError: As `PlanService.create`.
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
        """Return what the operations of a plan do, such as "delete"; nothing without a plan."""
        async with self._state.database.reading(self._caller.user) as session:
            plan = await PlanRepository(session, self._caller).find(plan_id)
        operations = [] if plan is None else parse_operations(plan.operations)
        return frozenset(each["op"] for each in operations)

    async def show(self, plan_id: str, now: datetime) -> Json | None:
        """Return the text of the pending plan, or None if it can no longer be decided."""
        async with self._state.database.reading(self._caller.user) as session:
            plan = await PlanRepository(session, self._caller).find(plan_id)
        timestamp = format_timestamp(now)
        if plan is None or get_status(plan, timestamp) != "open":
            return None
        shown: Json = orjson.loads(render_plan(plan, timestamp))
        return {name: shown[name] for name in (*_SHOWN, "reason")}

    async def is_applied(self, plan_id: str) -> bool:
        """Return whether a plan was applied, here or by another request."""
        async with self._state.database.reading(self._caller.user) as session:
            plan = await PlanRepository(session, self._caller).find(plan_id)
        return plan is not None and plan.applied_at is not None

    async def apply(self, plan_id: str) -> Json:
        """Make the changes of a plan, and return their results.

        Raises:
            ProblemError: As `PlanService.apply`.
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
        """Delete a plan, which changes nothing else.

        Raises:
            NotFoundError: The plan does not exist.
        """

        async def act(work: UnitOfWork) -> StoredResponse:
            await PlanService(work).delete(plan_id)
            return StoredResponse(200, b"{}")

        await self._write(act, "delete")

    async def _write(self, act: WriteHandler, name: str) -> Json:
        key = f"{self._key}/{name}"
        # An unused key, for a token that requires one.
        repeatable = Repeatable(key, hashlib.sha256(key.encode()).digest())
        response = await execute_write(self._state, self._caller, act, repeatable)
        found: Json = orjson.loads(response.body or b"{}")
        return found


def _name_tasks(error: ProblemError, operations: Sequence[PlanOperation]) -> None:
    """Name tasks in the fields of an error, instead of numbers of operations."""
    errors = [dict(each) for each in error.errors or ()]
    for each in errors:
        if str(each["field"]).startswith(_OPERATIONS):
            operation = operations[_read_index(str(each["field"]))]
            each["field"] = f"task/{operation.get('id', 'new')}"
    error.errors = errors


def _read_index(field: str) -> int:
    """Return the number of the operation that an error of a batch names."""
    return int(field.split(".")[1])
