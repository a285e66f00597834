"""The row of an account: its lock, which every write takes first, and its version."""

from sqlalchemy import bindparam, select

from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import account

LOCKING = (
    select(
        account.c.zone,
        account.c.chain_id,
        account.c.seq,
        account.c.hash,
        account.c.tasks,
        account.c.size,
    )
    .where(account.c.owner == bindparam("owner"))
    .with_for_update()
)
LOCKED = LOCKING.cte("locked")
"""For statements that lock the account of `owner` and do something as well."""

ACCOUNT_VERSION = Statement(select(account.c.seq).where(account.c.owner == bindparam("owner")))
"""The number of the last change: the version of what has none of its own, such as tags."""


async def find_account_version(session: Session, owner: str) -> int:
    """Return the version of an account, 0 before its first change."""
    row = await session.find(ACCOUNT_VERSION, {"owner": owner})
    return 0 if row is None else int(row[0])
