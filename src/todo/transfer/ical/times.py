"""Dates, instants and durations in a calendar file."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from todo.schedule.due import EARLIEST, LATEST, at_wall_time
from todo.transfer.ical.parser import Property, Skipped
from todo.transfer.ical.zones import Zones

_DATE = re.compile(r"[0-9]{8}")
_DATE_TIME = re.compile(r"([0-9]{8})T([0-9]{2})([0-9]{2})([0-9]{2})(Z?)")
_NUMBER = r"([0-9]{1,9})"
_DURATION = re.compile(
    rf"([+-]?)P(?=[0-9T])(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_WEEK = 7
_MAX_DAYS = (LATEST - EARLIEST).days
_LEAP_SECOND = 60


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration: calendar days plus an exact time (RFC 5545, 3.3.6)."""

    days: int
    rest: timedelta

    def __neg__(self) -> "Duration":
        return Duration(-self.days, -self.rest)

    @property
    def exact(self) -> timedelta:
        """Length with days of 24 hours."""
        return timedelta(days=self.days) + self.rest


@dataclass(frozen=True, slots=True)
class Moment:
    """A date (`day`), or an instant (`at`).

    Attributes:
        zone: IANA name of the task's time zone.
        rules: Time zone of the instant in the file.
    """

    day: date | None
    at: datetime | None = None
    zone: str | None = None
    rules: tzinfo = UTC

    def to_instant(self, zone: ZoneInfo) -> datetime:
        """Return the instant; for a date, its midnight in the zone."""
        if self.at is not None:
            return self.at
        return at_wall_time(self.day or EARLIEST, time(), zone)

    def to_wall(self) -> datetime:
        """Return the local time without a zone; for a date, its midnight."""
        if self.at is not None:
            return self.at.astimezone(self.rules).replace(tzinfo=None)
        return datetime.combine(self.day or EARLIEST, time())

    def add(self, length: Duration) -> datetime:
        """Return the moment plus a duration; for a date, a wall time without a zone.

        Calendar days keep the wall time: a day takes 23 or 25 hours when clocks change.

        Raises:
            OverflowError: The result is outside of the calendar.
        """
        if self.at is None:
            return self.to_wall() + length.exact
        if not length.days:
            return self.at + length.rest
        wall = self.to_wall() + timedelta(days=length.days)
        return at_wall_time(wall.date(), wall.time(), self.rules) + length.rest


class Clock:
    """Parser of the times in one file, with a report of the invalid ones."""

    def __init__(self, zones: Zones, account_zone: ZoneInfo, report: list[Skipped]) -> None:
        self.account_zone = account_zone
        self._zones = zones
        self.report = report

    def read_moment(self, given: Property) -> Moment | None:
        """Parse a DATE or DATE-TIME property; report an invalid value and return None."""
        # Outlook writes TZID=tzone://Microsoft/Utc without the required quotes.
        tail, _, value = given.value.strip().rpartition(":")
        tzid = ":".join(filter(None, [given.parameters.get("TZID"), tail]))
        try:
            if _DATE.fullmatch(value):
                moment: Moment | None = Moment(check_day(date.fromisoformat(value)))
            else:
                moment = self._read_instant(given, tzid, value)
        except (ValueError, OverflowError) as error:
            self.report.append(Skipped(given.line, given.name, f"{value[:40]!r}: {error}"))
            return None
        if moment is None:
            why = (
                f"{value[:40]!r} is not a date such as 20261231 or a time such as 20261231T090000Z"
            )
            self.report.append(Skipped(given.line, given.name, why))
        return moment

    def _read_instant(self, given: Property, tzid: str, value: str) -> Moment | None:
        match = _DATE_TIME.fullmatch(value)
        if match is None:
            return None
        day = date.fromisoformat(match[1])
        hour, minute, second = int(match[2]), int(match[3]), int(match[4])
        # Second 60 is a leap second and parsed as 59 (RFC 5545, 3.3.12).
        clock = time(hour, minute, 59 if second == _LEAP_SECOND else second)
        zone = self._zones.find(tzid) if tzid else None
        if match[5]:
            at = check_instant(datetime.combine(day, clock, UTC))
            return Moment(None, at, zone.name if zone else None)
        if zone is not None and zone.name is None:
            why = (
                f"TZID={tzid[:60]} is not an IANA zone: the instant is that of the file's "
                "description, the task's zone is the account's"
            )
            self.report.append(Skipped(given.line, given.name, why))
            at = check_instant(at_wall_time(day, clock, zone.rules))
            return Moment(None, at, self.account_zone.key, zone.rules)
        if tzid and zone is None:
            fault = self._zones.explain(tzid)
            why = f"TZID={tzid[:60]} {fault}: read as a time of the account's zone"
            self.report.append(Skipped(given.line, given.name, why))
        rules = zone.rules if zone else self.account_zone
        name = zone.name if zone else self.account_zone.key
        return Moment(None, check_instant(at_wall_time(day, clock, rules)), name, rules)


def check_day(day: date) -> date:
    """Return the day; raise ValueError if it is outside of the supported range."""
    if not EARLIEST <= day <= LATEST:
        raise ValueError(f"is not between {EARLIEST} and {LATEST}")
    return day


def check_instant(at: datetime) -> datetime:
    """Return the instant; raise ValueError if it is outside of the supported range."""
    if not EARLIEST.year < at.year < LATEST.year:
        raise ValueError(f"is not after {EARLIEST.year} and before {LATEST.year}")
    return at


def read_duration(value: str) -> Duration:
    """Parse a duration such as -PT15M; raise ValueError if it is malformed or too long."""
    text = value.strip().upper()
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:20]!r} is not a duration such as -PT15M")
    weeks, days, hours, minutes, seconds = (int(each or 0) for each in match.groups()[1:])
    rest = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    length = Duration(weeks * _WEEK + days, rest)
    if length.days + rest.days > _MAX_DAYS:
        raise ValueError(f"{text[:20]!r} is too long")
    return -length if match[1] == "-" else length
