"""Time of an account: the current time and date in its zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from todo.mcp.tool import Json
from todo.quickadd.vocabulary import WEEKDAY_NAMES
from todo.schedule.due import at_wall_time, check_zone


@dataclass(frozen=True, slots=True)
class AccountTime:
    """The present instant in the zone of an account.

    Attributes:
        now: The present instant.
        name: The name of the zone.
    """

    now: datetime
    name: str

    @property
    def zone(self) -> ZoneInfo:
        """The zone."""
        return check_zone(self.name)

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
            "weekday": WEEKDAY_NAMES[today.weekday()],
        }


def render_heading(structured: Json) -> str:
    """Return the first line of a text: what day it is, and where."""
    return (
        f"Today is {structured['weekday']} {structured['today']}, time zone {structured['zone']}."
    )
