"""Lock and version of an account: its row, which every write locks first."""

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
"""For statements that also change something after locking the account of `owner`."""

ACCOUNT_VERSION = Statement(select(account.c.seq).where(account.c.owner == bindparam("owner")))
"""Number of an account's last change: the version of entities without their own, such as tags."""


async def find_account_version(session: Session, owner: str) -> int:
    """Return the version of an account, 0 before its first change."""
    row = await session.find(ACCOUNT_VERSION, {"owner": owner})
    return 0 if row is None else int(row[0])
