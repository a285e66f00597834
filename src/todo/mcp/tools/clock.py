"""The clock of an account: its zone, and what day it is there."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import orjson

from todo.account.service import read_account
from todo.core.caller import Caller
from todo.db.session import Session
from todo.mcp.tool import Json
from todo.schedule.due import at_wall_time, check_zone
from todo.tasks.repository import TaskRepository

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Clock:
    """The present instant in the zone of an account.

    Attributes:
        now: The present instant.
        name: The name of the zone.
        zone: The zone.
    """

    now: datetime
    name: str
    zone: ZoneInfo

    @property
    def today(self) -> date:
        """The day that it is in the zone."""
        return self.now.astimezone(self.zone).date()

    def start_of(self, days_from_today: int) -> datetime:
        """Return when a day begins."""
        day = self.today + timedelta(days=days_from_today)
        return at_wall_time(day, datetime.min.time(), self.zone)

    def show(self, time: str, zone: tzinfo | None = None) -> str:
        """Return a stored time in the zone, or in another one."""
        moment = datetime.fromisoformat(time).astimezone(zone or self.zone)
        return moment.isoformat(timespec="seconds")

    def render(self) -> Json:
        """Return zone and day for a result."""
        today = self.today
        return {
            "zone": self.name,
            "today": today.isoformat(),
            "weekday": WEEKDAYS[today.weekday()],
        }


async def fetch_clock(
    session: Session, caller: Caller, now: datetime, list_id: str | None = None
) -> Clock:
    """Return the clock of the account that days are read by.

    It is the one of the owner of the list that the call or the token is about, otherwise the
    caller's.

    Args:
        session: Reads.
        caller: Who asks.
        now: The present instant.
        list_id: The list that the call is about, if it is about one.
    """
    owner = caller.user
    if list_id := list_id or caller.list_id:
        found = await TaskRepository(session, caller).find_list(list_id)
        owner = found[0] if found else owner
    name = orjson.loads(await read_account(session, owner))["zone"]
    return Clock(now, name, check_zone(name))


def render_heading(structured: Json) -> str:
    """Return the first line of a text: what day it is, and where."""
    return (
        f"Today is {structured['weekday']} {structured['today']}, time zone {structured['zone']}."
    )
