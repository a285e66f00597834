"""Taking the lock of an owner's account: the row that every write of the owner begins with."""

from sqlalchemy import bindparam, select

from todo.models import account

LOCKING = (
    select(account.c.zone, account.c.chain_id, account.c.seq, account.c.hash)
    .where(account.c.owner == bindparam("owner"))
    .with_for_update()
)
LOCKED = LOCKING.cte("locked")
"""For statements that lock the account of `owner` and do something as well (`Work.record_by`)."""
