"""Time zone of an account, in which its days start and end."""

from sqlalchemy import bindparam, select

from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import account

DEFAULT_ZONE = "UTC"
"""Time zone of an account whose user has not changed it."""

_ZONE = Statement(select(account.c.zone).where(account.c.owner == bindparam("owner")))


async def fetch_zone(session: Session, owner: str) -> str:
    """Return the IANA name of the time zone of a user's account."""
    row = await session.find(_ZONE, {"owner": owner})
    return DEFAULT_ZONE if row is None else row[0]
