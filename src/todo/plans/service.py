"""Plan service for the API, agents and the assistant.

A dry run creates a plan; applying the plan must make the same changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import orjson

from todo.core.caller import Caller
from todo.core.errors import BatchFailedError, NotFoundError
from todo.core.ids import new_uuid7
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.plans.document import get_status
from todo.plans.errors import (
    PlanAppliedError,
    PlanExpiredError,
    PlanOutdatedError,
    PlanTooLargeError,
    TooManyPlansError,
)
from todo.plans.expectation import decode_expected, encode_expected, expect, find_differences
from todo.plans.operation import PlanOperation
from todo.plans.operations import (
    MAX_CHANGES,
    TooManyChangesError,
    list_scopes,
    run_operations,
)
from todo.plans.preview import render_changes, render_summary
from todo.plans.repository import MAX_OPEN, Plan, PlanRepository
from todo.tasks.batch import prepare_batch
from todo.tasks.recurrence import RuleEvaluation
from todo.writes.unit_of_work import UnitOfWork
from todo.writes.write_limit import charge

DEFAULT_LIFETIME_MINUTES = 60
MAX_LIFETIME_MINUTES = 7 * 24 * 60
MAX_BYTES = 256 * 1024
"""Maximum total size of a plan's operations, preview and expected changes."""
_KEPT = timedelta(days=1)
"""Time for which a plan can be read after it has expired."""


async def prepare_apply(
    session: Session, caller: Caller, rules: RuleEvaluation, plan_id: str
) -> None:
    """Evaluate the rules of a plan before its write transaction; see `prepare_batch`."""
    plan = await PlanRepository(session, caller).find(plan_id)
    if plan is not None and plan.applied_at is None:
        await prepare_operations(rules, parse_operations(plan.operations))


async def prepare_operations(rules: RuleEvaluation, operations: Iterable[PlanOperation]) -> None:
    """Evaluate the rules of operations before their write transaction; see `prepare_batch`."""
    await prepare_batch(rules, [each["task"] for each in operations if "task" in each])


def parse_operations(stored: str) -> list[PlanOperation]:
    """Parse the stored operations of a plan."""
    operations: list[PlanOperation] = orjson.loads(stored)
    return operations


class PlanService:
    """Plan service within one unit of work; `rules` come from `prepare_operations`."""

    def __init__(self, work: UnitOfWork, rules: RuleEvaluation | None = None) -> None:
        self._work = work
        self._rules = rules or RuleEvaluation()
        self._store = PlanRepository(work.session, work.caller)

    async def create(
        self,
        operations: Sequence[PlanOperation],
        *,
        reason: str | None = None,
        expires_in_minutes: int = DEFAULT_LIFETIME_MINUTES,
    ) -> Plan:
        """Store and return a plan with the changes of a dry run.

        Raises:
            ForbiddenError: The token lacks the scope `read`; the plan shows documents.
            BatchFailedError: Operations failed.
            QuotaExceededError: An account would exceed a quota.
            PlanTooLargeError: The plan exceeds MAX_CHANGES or MAX_BYTES.
            TooManyPlansError: The user has MAX_OPEN open plans.
            RateLimitedError: The token exceeds its write limit.
        """
        work, caller = self._work, self._work.caller
        caller.require("read")
        async with work.dry_run() as attempt:
            try:
                outcome = await run_operations(attempt, self._rules, operations)
            except TooManyChangesError:
                raise PlanTooLargeError(f"have more than {MAX_CHANGES} changes") from None
            recorded = attempt.recorded
        plan_id = str(new_uuid7())
        entries = [entry for _, entry in recorded]
        plan = Plan(
            id=plan_id,
            list_id=caller.list_id,
            token_id=caller.token_id,
            agent=caller.agent,
            model=caller.model,
            run_id=caller.run_id or f"plan-{plan_id}",
            reason=reason,
            created_at=work.timestamp,
            expires_at=format_timestamp(work.now + timedelta(minutes=expires_in_minutes)),
            applied_at=None,
            summary=render_summary(entries),
            operations=orjson.dumps(operations).decode(),
            changes=render_changes(entries, outcome.named, outcome.list_names),
            expected=encode_expected(expect(recorded, outcome.list_names)),
        )
        if sum(len(part.encode()) for part in (plan.operations, plan.changes, plan.expected)) > (
            MAX_BYTES
        ):
            raise PlanTooLargeError(f"be larger than {MAX_BYTES // 1024} KiB")
        # Only after the dry run, which may lock other accounts first.
        await work.lock(caller.user)
        await self._refuse_many()
        values = {name: getattr(plan, name) for name in Plan.__slots__}
        forgotten = format_timestamp(work.now - _KEPT)
        await self._store.add({**values, "owner": caller.user}, forgotten=forgotten)
        await charge(work.session, caller, 1, work.now)
        return plan

    async def apply(self, plan_id: str) -> bytes:
        """Make all changes of a plan or none; return the results as JSON.

        The changes have the caller's run ID, or the plan's if the caller has none.

        Raises:
            NotFoundError: The plan does not exist or is not visible to the caller.
            ForbiddenError: The token lacks a scope that an operation requires.
            PlanAppliedError: The plan has already been applied.
            PlanExpiredError: The plan has expired.
            PlanOutdatedError: The changes would differ now; the caller must not commit.
        """
        work = self._work
        plan = await self._store.find(plan_id, to_apply=True)
        if plan is None:
            raise NotFoundError
        operations = parse_operations(plan.operations)
        for scope in list_scopes(operations):
            work.caller.require(scope)
        self._require_open(plan)
        run_id = work.caller.run_id or plan.run_id
        # A plan made with a token for one list is applied with the same restriction.
        work.caller = replace(work.caller, run_id=run_id, list_id=plan.list_id)
        results = await self._run(plan, operations)
        work.before_commit(self._store.set_applied(plan.id, work.timestamp))
        return b'{"id":"%b","run_id":%b,"applied_at":"%b","results":[%b]}' % (
            plan.id.encode(),
            orjson.dumps(run_id),
            work.timestamp.encode(),
            b",".join(results),
        )

    async def delete(self, plan_id: str) -> None:
        """Delete a plan; raise NotFoundError if no such plan is visible to the caller."""
        if not await self._store.remove(plan_id):
            raise NotFoundError

    async def _refuse_many(self) -> None:
        count, first = await self._store.count_open(self._work.timestamp)
        if count >= MAX_OPEN and first is not None:
            wait_s = int((first - self._work.now).total_seconds()) + 1
            raise TooManyPlansError(MAX_OPEN, wait_s)

    def _require_open(self, plan: Plan) -> None:
        if plan.applied_at is not None:
            raise PlanAppliedError(plan.applied_at)
        if get_status(plan, self._work.timestamp) == "expired":
            raise PlanExpiredError(plan.expires_at)

    async def _run(self, plan: Plan, operations: Sequence[PlanOperation]) -> list[bytes]:
        try:
            outcome = await run_operations(self._work, self._rules, operations)
        except BatchFailedError as error:
            errors = [{**each, "in": "plan"} for each in error.errors or ()]
        except TooManyChangesError:
            message = f"the plan would now make more than {MAX_CHANGES} changes"
            errors = [
                {"in": "plan", "field": "changes", "code": "also-changed", "message": message}
            ]
        else:
            found = expect(self._work.recorded, outcome.list_names)
            errors = find_differences(decode_expected(plan.expected), found)
            if not errors:
                return outcome.results
        raise PlanOutdatedError(errors=errors)
