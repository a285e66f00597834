"""Names of the lists whose shares a plan changes; a share contains only the ID of its list."""

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import Select, select

from todo.auth.visibility import can_see, visibility_params
from todo.db.statement import Statement, unnest_json
from todo.db.tables import Id, task_list
from todo.writes.unit_of_work import UnitOfWork


def _names(dialect: str) -> Select[Any]:
    named = task_list.c.id.in_(unnest_json(dialect, "ids", Id))
    return select(task_list.c.id, task_list.c.name).where(
        named, can_see(task_list.c.owner, task_list.c.id)
    )


_NAMES = Statement(_names)


async def fetch_list_names(work: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
    """Return the names of the lists that are visible to the caller, by ID.

    The owners' accounts are locked, so the names cannot change during this write.
    """
    if not ids:
        return {}
    values = {**visibility_params(work.caller), "ids": orjson.dumps(sorted(ids)).decode()}
    rows = await work.session.fetch(_NAMES, values)
    return {str(list_id): name for list_id, name in rows}
