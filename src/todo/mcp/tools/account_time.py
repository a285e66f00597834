"""Current time and date in the zone of an account."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from todo.mcp.tool import Json
from todo.quickadd.vocabulary import WEEKDAY_NAMES
from todo.schedule.due import at_wall_time, check_zone


@dataclass(frozen=True, slots=True)
class AccountTime:
    """Current time of an account, and the IANA name of its zone."""

    now: datetime
    name: str

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the account."""
        return check_zone(self.name)

    @property
    def today(self) -> date:
        """Current day in the zone."""
        return self.now.astimezone(self.zone).date()

    def start_of(self, days_from_today: int) -> datetime:
        """Return the instant at which the day `days_from_today` starts."""
        day = self.today + timedelta(days=days_from_today)
        return at_wall_time(day, datetime.min.time(), self.zone)

    def show(self, time: str, zone: tzinfo | None = None) -> str:
        """Return a stored timestamp in ISO 8601, in the account's zone or another one."""
        moment = datetime.fromisoformat(time).astimezone(zone or self.zone)
        return moment.isoformat(timespec="seconds")

    def render(self) -> Json:
        """Return the zone and the current day as fields of a result."""
        today = self.today
        return {
            "zone": self.name,
            "today": today.isoformat(),
            "weekday": WEEKDAY_NAMES[today.weekday()],
        }


def render_heading(structured: Json) -> str:
    """Return the first line of a result's text, with the current day and the zone."""
    return (
        f"Today is {structured['weekday']} {structured['today']}, time zone {structured['zone']}."
    )
