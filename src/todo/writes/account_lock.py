"""Row of an account: the lock that every write acquires first, and the account's version."""

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
"""CTE that locks the account of `owner`, for statements that also change something."""

ACCOUNT_VERSION = Statement(select(account.c.seq).where(account.c.owner == bindparam("owner")))
"""Statement that reads the number of an account's last change, which is also its tags' version."""


async def find_account_version(session: Session, owner: str) -> int:
    """Return the version of an account, 0 before its first change."""
    row = await session.find(ACCOUNT_VERSION, {"owner": owner})
    return 0 if row is None else int(row[0])
