"""SQL statement for a user's own lists that are shared with others."""

from sqlalchemy import bindparam, select

from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import list_share, task_list

_SHARED = Statement(
    select(task_list.c.id)
    .join(list_share, list_share.c.list_id == task_list.c.id)
    .where(task_list.c.owner == bindparam("owner"))
    .distinct()
)


async def fetch_shared_lists(session: Session, owner: str) -> frozenset[str]:
    """Return the IDs of a user's own lists that are shared with others."""
    return frozenset(str(row[0]) for row in await session.fetch(_SHARED, {"owner": owner}))
