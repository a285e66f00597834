"""Endpoints of plans."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from todo.api.body_limits import PLANS_PATH
from todo.api.pagination import read_cursor, render_cursor, render_page
from todo.api.responses import StoredResponse, declare_headers, json_response
from todo.api.schemas import to_json_dict
from todo.api.write import run_write
from todo.app_state import get_state
from todo.auth.dependencies import CallerDep, requires
from todo.auth.route import ApiRoute
from todo.core.errors import NotFoundError
from todo.core.timestamps import format_timestamp
from todo.plans.document import render_plan
from todo.plans.outcome import count_outcome
from todo.plans.repository import PlanRepository
from todo.plans.schemas import PlanCreate, PlanPage, PlanQuery, PlanRead, PlanResults
from todo.plans.service import PlanService, prepare_apply, prepare_operations
from todo.tasks.recurrence import RuleEvaluation
from todo.writes.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from todo.plans.operation import PlanOperation

router = APIRouter(prefix=PLANS_PATH, tags=["plans"], route_class=ApiRoute)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=PlanRead,
    responses={201: declare_headers("Location")},
)
async def create_plan(request: Request, caller: CallerDep, body: PlanCreate) -> Response:
    """Describe what up to 100 operations would change, without changing anything.

    `POST /api/v1/plans/{id}/apply` then makes exactly these changes. Only its owner can see the
    plan. The token needs `read` as well as `write`, because the plan shows documents. If an
    operation fails, no plan is created, and `errors` lists every operation that failed.
    """
    operations: list[PlanOperation] = [to_json_dict(each) for each in body.operations]
    rules = RuleEvaluation()
    await prepare_operations(rules, operations)

    async def create(work: UnitOfWork) -> StoredResponse:
        plan = await PlanService(work, rules).create(
            operations, reason=body.reason, expires_in_minutes=body.expires_in_minutes
        )
        outcome.name = "created"
        content = render_plan(plan, work.timestamp)
        return StoredResponse(201, content, {"location": f"{PLANS_PATH}/{plan.id}"})

    with count_outcome(get_state(request).metrics.count_plan) as outcome:
        return await run_write(request, caller, create, changes_existing=False)


@router.get("", response_model=PlanPage)
async def list_plans(
    request: Request, caller: CallerDep, asked: Annotated[PlanQuery, Query()]
) -> Response:
    """List the caller's plans, newest first, without their operations and changes."""
    before = None if asked.cursor is None else str(read_cursor(asked.cursor, UUID))
    async with get_state(request).database.reading(caller.user) as session:
        found = await PlanRepository(session, caller).find_page(before, asked.limit + 1)
    shown = found[: asked.limit]
    cursor = render_cursor(shown[-1].id) if len(found) > len(shown) else None
    items = [render_plan(plan, _timestamp()) for plan in shown]
    return json_response(request, render_page(items, cursor))


@router.get("/{plan_id}", response_model=PlanRead)
async def read_plan(request: Request, caller: CallerDep, plan_id: UUID) -> Response:
    """Return a plan with the changes that it makes."""
    async with get_state(request).database.reading(caller.user) as session:
        plan = await PlanRepository(session, caller).find(str(plan_id))
    if plan is None:
        raise NotFoundError
    return json_response(request, render_plan(plan, _timestamp()))


@router.post("/{plan_id}/apply", response_model=PlanResults, responses={410: {}, 412: {}})
async def apply_plan(request: Request, caller: CallerDep, plan_id: UUID) -> Response:
    """Make the changes of a plan, exactly as described, all of them or none.

    If the changes would differ now, nothing changes, the status is 412, and `errors` lists the
    differences. The token needs the scopes of the operations: `delete` for deletions, `admin` for
    shares. A plan can be applied only once.
    """
    rules = RuleEvaluation()
    async with get_state(request).database.reading(caller.user) as session:
        await prepare_apply(session, caller, rules, str(plan_id))

    async def apply(work: UnitOfWork) -> StoredResponse:
        results = await PlanService(work, rules).apply(str(plan_id))
        outcome.name = "applied"
        return StoredResponse(200, results)

    with count_outcome(get_state(request).metrics.count_plan) as outcome:
        return await run_write(request, caller, apply, changes_existing=False)


@router.delete("/{plan_id}", status_code=status.HTTP_204_NO_CONTENT)
@requires("write")
async def delete_plan(request: Request, caller: CallerDep, plan_id: UUID) -> Response:
    """Delete a plan. Changes that it has made are kept."""

    async def delete(work: UnitOfWork) -> StoredResponse:
        await PlanService(work).delete(str(plan_id))
        return StoredResponse(204)

    return await run_write(request, caller, delete, changes_existing=False)


def _timestamp() -> str:
    return format_timestamp(datetime.now(UTC))
