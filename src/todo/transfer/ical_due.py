"""Days, instants and lengths of time in a calendar file."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from todo.tasks.due import EARLIEST, LATEST, at_wall_time
from todo.transfer.ical_text import Property, Skipped
from todo.transfer.ical_zone import Zones

_DATE = re.compile(r"[0-9]{8}")
_DATE_TIME = re.compile(r"([0-9]{8})T([0-9]{6})(Z?)")


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or an instant with the zone that it was written in."""

    day: date | None
    at: datetime | None = None
    zone: str | None = None

    def to_instant(self, zone: ZoneInfo) -> datetime:
        """The instant; of a day, its midnight in the zone."""
        if self.at is not None:
            return self.at
        return at_wall_time(self.day or EARLIEST, time(), zone)


class Clock:
    """Reads times of one file; what it cannot read goes into its report."""

    def __init__(self, zones: Zones, account_zone: ZoneInfo, report: list[Skipped]) -> None:
        self.account_zone = account_zone
        self._zones = zones
        self.report = report

    def read_moment(self, given: Property) -> Moment | None:
        """Read DATE or DATE-TIME; None when that cannot be, and the report says so."""
        # Outlook writes TZID=tzone://Microsoft/Utc without the quotes that it needs.
        tail, _, value = given.value.strip().rpartition(":")
        tzid = ":".join(filter(None, [given.parameters.get("TZID"), tail]))
        try:
            if _DATE.fullmatch(value):
                moment: Moment | None = Moment(_in_range(date.fromisoformat(value)))
            else:
                moment = self._read_instant(given, tzid, value)
        except ValueError as error:
            self.report.append(Skipped(given.line, given.name, f"{value[:40]!r}: {error}"))
            return None
        if moment is None:
            why = f"{value[:40]!r} is no day as in 20261231 and no time as in 20261231T090000Z"
            self.report.append(Skipped(given.line, given.name, why))
        return moment

    def _read_instant(self, given: Property, tzid: str, value: str) -> Moment | None:
        match = _DATE_TIME.fullmatch(value)
        if match is None:
            return None
        day = _in_range(date.fromisoformat(match[1]))
        clock = time.fromisoformat(match[2])
        zone = self._zones.find(tzid) if tzid else None
        if match[3]:
            return Moment(None, datetime.combine(day, clock, UTC), zone.name if zone else None)
        if zone is not None and zone.name is None:
            why = (
                f"TZID={tzid[:60]} is no zone of IANA: the instant is that of the file's "
                "description, the task's zone is the account's"
            )
            self.report.append(Skipped(given.line, given.name, why))
            at = datetime.combine(day, clock, zone.rules).astimezone(UTC)
            return Moment(None, at, self.account_zone.key)
        if tzid and zone is None:
            why = f"TZID={tzid[:60]} is not known: read as a time of the account's zone"
            self.report.append(Skipped(given.line, given.name, why))
        rules = zone.rules if zone else self.account_zone
        name = zone.name if zone else self.account_zone.key
        return Moment(None, at_wall_time(day, clock, rules), name)


def _in_range(day: date) -> date:
    if not EARLIEST <= day <= LATEST:
        raise ValueError(f"is not between {EARLIEST} and {LATEST}")
    return day


def read_duration(value: str) -> timedelta:
    """Read a length of time such as -PT15M.

    Raises:
        ValueError: It is none.
    """
    from icalendar.prop import vDuration  # noqa: PLC0415 - as icalendar

    length: timedelta = vDuration.from_ical(value.strip().upper())  # type: ignore[no-untyped-call]
    if abs(length) > LATEST - EARLIEST:
        raise ValueError("is too long")
    return length
