"""Current time in the user's zone, and calendar arithmetic."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from todo.schedule.due import EARLIEST, LATEST

_MONTHS = 12
_WEEK = 7
_FEBRUARY = 2


@dataclass(frozen=True, slots=True)
class Present:
    """Current instant in UTC, and the current day in the user's zone."""

    now: datetime
    zone: tzinfo
    today: date

    def weekday_after(self, weekday: int, *, today_counts: bool = False) -> date:
        """Return the next date of a weekday."""
        days = (weekday - self.today.weekday()) % _WEEK
        return self.today + timedelta(days=days or (0 if today_counts else _WEEK))

    def week(self, weeks: int) -> date:
        """Return the Monday of the week that is `weeks` after the current one."""
        return self.today + timedelta(days=weeks * _WEEK - self.today.weekday())

    def month(self, months: int) -> date:
        """Return the first day of the month that is `months` after the current one."""
        return add_months(self.today.replace(day=1), months) or self.today


def make_present(now: datetime, zone: tzinfo) -> Present:
    """Return the current time and day in a zone."""
    return Present(now.astimezone(UTC), zone, now.astimezone(zone).date())


def add_months(day: date, months: int) -> date | None:
    """Return the same day of another month, or its last day; None outside of the calendar."""
    year, month = divmod(day.year * _MONTHS + day.month - 1 + months, _MONTHS)
    return make_date(year, month + 1, min(day.day, days_of_month(year, month + 1)))


def days_of_month(year: int, month: int) -> int:
    """Return the number of days in a month."""
    if month == _FEBRUARY:
        return 28 + calendar.isleap(year)
    return 30 + (month + month // 8) % 2


def make_date(year: int, month: int, day: int) -> date | None:
    """Return a date; None if it does not exist or is outside of the calendar of tasks."""
    if not (1 <= month <= _MONTHS and EARLIEST.year <= year <= LATEST.year):
        return None
    return date(year, month, day) if 1 <= day <= days_of_month(year, month) else None


def next_date(today: date, month: int, day: int) -> date | None:
    """Return the next date with this month and day, today included."""
    # The next 29 February can be eight years away.
    for year in range(today.year, today.year + 9):
        found = make_date(year, month, day)
        if found is not None and found >= today:
            return found
    return None


def next_day_of_month(today: date, day: int) -> date | None:
    """Return the next date with this day of the month, today included."""
    # One of two consecutive months has 31 days.
    for months in range(3):
        first = add_months(today.replace(day=1), months)
        found = first and make_date(first.year, first.month, day)
        if found is not None and found >= today:
            return found
    return None


def nth_weekday(year: int, month: int, nth: int, weekday: int) -> date | None:
    """Return the nth weekday of a month; a negative nth counts from the end."""
    if nth > 0:
        first = date(year, month, 1).weekday()
        return make_date(year, month, 1 + (weekday - first) % _WEEK + (nth - 1) * _WEEK)
    days = days_of_month(year, month)
    last = date(year, month, days).weekday()
    return make_date(year, month, days - (last - weekday) % _WEEK + (nth + 1) * _WEEK)
