"""Write limit: the changes of an API token per hour, counted in the transaction of the changes."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, update

from todo.core.caller import Caller
from todo.core.errors import RateLimitedError
from todo.core.timestamps import format_timestamp
from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import Time, api_token

_HOUR_S = 3600

_counted = case(
    (api_token.c.hour == bindparam("hour", type_=Time), api_token.c.writes), else_=0
) + bindparam("more")
_CHARGE = Statement(
    update(api_token)
    .where(api_token.c.id == bindparam("id"), _counted <= bindparam("most"))
    .values(hour=bindparam("hour", type_=Time), writes=_counted)
    .returning(api_token.c.writes)
)


async def charge(session: Session, caller: Caller, writes: int, now: datetime) -> None:
    """Count the journal entries of a transaction towards the hourly limit of the caller's token.

    Raises:
        RateLimitedError: The token would exceed its changes per hour.
    """
    most = caller.writes_per_hour
    if most is None or caller.token_id is None or not writes:
        return
    hour = now.replace(minute=0, second=0, microsecond=0)
    text = format_timestamp(hour)
    values = {"id": caller.token_id, "more": writes, "most": most, "hour": text}
    if await session.find(_CHARGE, values) is not None:
        return
    wait_s = int((hour + timedelta(seconds=_HOUR_S) - now).total_seconds()) + 1
    raise RateLimitedError(
        f"This token has reached its limit of {most} changes per hour; retry after the seconds in "
        "`Retry-After`.",
        headers={
            "Retry-After": str(wait_s),
            "RateLimit-Policy": f'"writes";q={most};w={_HOUR_S}',
            "RateLimit": f'"writes";r=0;t={wait_s}',
        },
    )
