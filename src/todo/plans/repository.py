"""Repository of plans."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.core.caller import Caller
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.db.statement import BoundStatement, Row, Statement
from todo.db.tables import Id, Time, plan

MAX_OPEN = 50
"""Maximum number of open plans of a user."""
MAX_CLOSED = 50
"""Maximum number of stored plans of a user that are applied or expired."""
# Maximum number of old plans that each new plan deletes.
_PURGED = 20

_TOKEN_LIST_ID = bindparam("only_list", type_=Id)
_BY_OWNER: ColumnElement[bool] = plan.c.owner == bindparam("owner")
_NOW: ColumnElement[Any] = bindparam("now", type_=Time)
# A token for one list sees only plans made with tokens for that list.
_SEEN = _BY_OWNER & or_(_TOKEN_LIST_ID.is_(None), plan.c.list_id == _TOKEN_LIST_ID)
_BY_ID = (plan.c.id == bindparam("id", type_=Id)) & _SEEN
_IS_OPEN = plan.c.applied_at.is_(None) & (plan.c.expires_at > _NOW)
_ABOUT = (
    *(plan.c.id, plan.c.list_id, plan.c.token_id, plan.c.agent, plan.c.model, plan.c.run_id),
    *(plan.c.reason, plan.c.created_at, plan.c.expires_at, plan.c.applied_at, plan.c.summary),
)
_WHOLE = (*_ABOUT, plan.c.operations, plan.c.changes, plan.c.expected)

_FIND = Statement(select(*_WHOLE).where(_BY_ID))
_FIND_TO_APPLY = Statement(select(*_WHOLE).where(_BY_ID).with_for_update())


def _page(*before: ColumnElement[bool]) -> Select[Any]:
    return (
        select(*_ABOUT).where(_SEEN, *before).order_by(plan.c.id.desc()).limit(bindparam("limit"))
    )


_FIRST_PAGE = Statement(_page())
_PAGE = Statement(_page(plan.c.id < bindparam("before", type_=Id)))
_ADD = Statement(insert(plan).values({column.name: bindparam(column.name) for column in plan.c}))
_SET_APPLIED = Statement(
    update(plan)
    .where(plan.c.id == bindparam("of", type_=Id))
    .values(applied_at=bindparam("applied", type_=Time))
)
_REMOVE = Statement(delete(plan).where(_BY_ID).returning(plan.c.id))
_COUNT_OPEN = Statement(
    select(func.count(), func.min(plan.c.expires_at)).where(_BY_OWNER, _IS_OPEN)
)


def _purge(some: Select[Any]) -> Statement:
    # A literal: for a parameter, PostgreSQL would expect a tenth of the table and scan all of it.
    limited = some.limit(literal_column(str(_PURGED))).with_for_update(skip_locked=True)
    return Statement(delete(plan).where(plan.c.id.in_(limited)))


_PURGE_OLD = _purge(
    select(plan.c.id)
    .where(plan.c.expires_at < bindparam("forgotten", type_=Time))
    .order_by(plan.c.expires_at)
)
_PURGE_CLOSED = _purge(
    select(plan.c.id)
    .where(_BY_OWNER, or_(plan.c.applied_at.is_not(None), plan.c.expires_at <= _NOW))
    .order_by(plan.c.id.desc())
    .offset(literal_column(str(MAX_CLOSED)))
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A stored plan, with the summary and the last three fields as JSON.

    Pages of plans leave the last three fields empty.
    """

    id: str
    list_id: str | None
    token_id: str | None
    agent: str | None
    model: str | None
    run_id: str
    reason: str | None
    created_at: str
    expires_at: str
    applied_at: str | None
    summary: str
    operations: str = ""
    changes: str = ""
    expected: str = ""


class PlanRepository:
    """Repository of the plans that are visible to a caller."""

    def __init__(self, session: Session, caller: Caller) -> None:
        self._session = session
        self._seen = {"owner": caller.user, "only_list": caller.list_id}

    async def find(self, plan_id: str, *, to_apply: bool = False) -> Plan | None:
        """Return a plan, or None if it is not visible; `to_apply` locks its row."""
        statement = _FIND_TO_APPLY if to_apply else _FIND
        row = await self._session.find(statement, {**self._seen, "id": plan_id})
        return None if row is None else _read(row)

    async def find_page(self, before: str | None, limit: int) -> list[Plan]:
        """Return up to `limit` plans after `before`, newest first, without their changes."""
        values = {**self._seen, "limit": limit}
        if before is None:
            rows = await self._session.fetch(_FIRST_PAGE, values)
        else:
            rows = await self._session.fetch(_PAGE, {**values, "before": before})
        return [_read(row) for row in rows]

    async def count_open(self, timestamp: str) -> tuple[int, datetime | None]:
        """Return the number of open plans and their earliest expiry time."""
        values = {"owner": self._seen["owner"], "now": timestamp}
        ((count, first),) = await self._session.fetch(_COUNT_OPEN, values)
        return count, datetime.fromisoformat(first) if isinstance(first, str) else first

    async def add(self, values: dict[str, Any], *, forgotten: str) -> None:
        """Store a plan; delete some plans beyond MAX_CLOSED or expired before `forgotten`."""
        now = values["created_at"]
        await self._session.run(
            (_ADD, values),
            (_PURGE_CLOSED, {"owner": values["owner"], "now": now}),
            (_PURGE_OLD, {"forgotten": forgotten}),
        )

    def set_applied(self, plan_id: str, timestamp: str) -> BoundStatement:
        """Return the statement that stores the time at which a plan was applied."""
        return (_SET_APPLIED, {"of": plan_id, "applied": timestamp})

    async def remove(self, plan_id: str) -> bool:
        """Remove a plan; return False if it is not visible."""
        return bool(await self._session.fetch(_REMOVE, {**self._seen, "id": plan_id}))


def _read(row: Row) -> Plan:
    return Plan(*(_read_value(value) for value in row))


def _read_value(value: Any) -> Any:  # noqa: ANN401 - of any column
    """Convert times and IDs to the text that SQLite returns."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value if value is None else str(value)
