"""Locks of the accounts that operations change.

All locks are acquired first and in the same order. Otherwise two users who plan changes in each
other's lists could deadlock.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Select, select, union

from todo.auth.visibility import can_see, visibility_params
from todo.db.statement import Statement, unnest_json
from todo.db.tables import Id, task, task_list
from todo.plans.operation import PlanOperation
from todo.writes.unit_of_work import UnitOfWork


def _owners(dialect: str) -> Any:  # noqa: ANN401 - a union has a type of its own
    """Return the owners of the tasks and lists that the caller can see; only these are locked."""

    def some(table: Any, list_id: Any) -> Select[Any]:  # noqa: ANN401 - a table and a column
        named = table.c.id.in_(unnest_json(dialect, "ids", Id))
        return select(table.c.owner).where(named, can_see(table.c.owner, list_id))

    return union(some(task, task.c.list_id), some(task_list, task_list.c.id))


_OWNERS = Statement(_owners)


async def lock_accounts(work: UnitOfWork, operations: Sequence[PlanOperation]) -> None:
    """Lock the accounts of the tasks and lists in the operations, and of new tasks.

    Raises:
        AccountBusyError: Too many connections already wait for one of the locks.
    """
    caller = work.caller
    named = [_find_ids(operation) for operation in operations]
    ids = {each for some in named for each in some}
    if caller.list_id is not None:
        ids.add(caller.list_id)
    values = {**visibility_params(caller), "ids": orjson.dumps(sorted(ids)).decode()}
    rows = await work.session.fetch(_OWNERS, values)
    owners = {str(row[0]) for row in rows}
    if caller.list_id is None and not all(named):
        # A new task without a list and a parent belongs to the caller.
        owners.add(caller.user)
    for owner in sorted(owners):
        await work.lock(owner)


def _find_ids(operation: PlanOperation) -> set[str]:
    named: list[str | None] = []
    if "id" in operation:
        named.append(operation["id"])
    if "task" in operation:
        fields = operation["task"]
        named += [fields.get("list_id"), fields.get("parent_id")]
    return {each for each in named if each is not None}
