"""Recognizer of durations, such as `3 days`, `an hour and a half` or `1d, 2hr, and 5min`."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from todo.quickadd.days.present import Present, add_months
from todo.quickadd.tokens.line import Line, Match, memoized
from todo.quickadd.tokens.numbers import AMOUNT_STARTS, find_amount
from todo.quickadd.vocabulary import UNITS, Unit
from todo.schedule.due import EARLIEST, LATEST, at_wall_time

_DAY = 1440
_IN_MONTHS: Final = frozenset({"month", "year"})
# Sizes in minutes, or in months for a month and a year.
_SIZES: Final[dict[Unit, int]] = {
    "minute": 1, "hour": 60, "day": _DAY, "week": 7 * _DAY, "month": 1, "year": 12,
}  # fmt: skip
APPROXIMATELY = frozenset({"about", "approx", "around", "approximately", "roughly", "~"})
STARTS: Final = frozenset({*AMOUNT_STARTS, *APPROXIMATELY})
_AFTER_NUMBER = frozenset({*UNITS, "fortnight", "fortnights", "m", "more"})
# Longer than the calendar of tasks, but too short for an overflow.
_MAX_MONTHS = 8_100 * 12
_MAX_MINUTES = 8_100 * 366 * _DAY


class Duration(NamedTuple):
    """Duration in calendar units: months, days and minutes are separate."""

    months: int = 0
    days: int = 0
    minutes: int = 0

    def after_day(self, day: date) -> date | None:
        """Return a day plus the months and days; None after the calendar of tasks."""
        moved = add_months(day, self.months)
        if moved is None or self.days > (LATEST - moved).days:
            return None
        return moved + timedelta(days=self.days)

    def before_day(self, day: date) -> date | None:
        """Return a day minus the months and days; None before the calendar of tasks."""
        moved = add_months(day, -self.months)
        if moved is None or self.days > (moved - EARLIEST).days:
            return None
        return moved - timedelta(days=self.days)

    def after(self, present: Present) -> date | datetime | None:
        """Return now plus the duration: a day, or with minutes an instant; None if too late."""
        day = self.after_day(present.today)
        if day is None or not self.minutes:
            return day
        start = present.now.astimezone(UTC)
        if day != present.today:
            start = at_wall_time(day, present.now.astimezone(present.zone).time(), present.zone)
        if self.minutes >= (LATEST - day).days * _DAY:
            return None
        due = start.replace(second=0, microsecond=0) + timedelta(minutes=self.minutes)
        return due.astimezone(present.zone)

    @property
    def total_minutes(self) -> int | None:
        """Duration in minutes, with 24 hours a day; None if it has months."""
        return None if self.months else self.days * _DAY + self.minutes


@memoized
def find_duration(line: Line, at: int) -> Match[Duration] | None:
    """Find a duration, in which each unit occurs only once."""
    found: dict[Unit, int] = {}
    end = -1
    while True:
        part = _find_part(line, at)
        if part is None or part.value[0] in found:
            break
        (unit, size), end = part.value, part.end
        found[unit] = size
        at = line.skip(end, ",")
        at = line.skip(at, "and")
    if end < 0:
        return None
    months = sum(size for unit, size in found.items() if unit in _IN_MONTHS)
    minutes = sum(size for unit, size in found.items() if unit not in _IN_MONTHS)
    if months > _MAX_MONTHS or minutes > _MAX_MINUTES:
        return None
    whole_days = sum(found.get(unit, 0) for unit in ("day", "week"))
    days = whole_days // _DAY if whole_days % _DAY == 0 else 0
    return Match(Duration(months, days, minutes - days * _DAY), end)


@memoized
def _find_part(line: Line, at: int) -> Match[tuple[Unit, int]] | None:
    if line.words[at] in APPROXIMATELY:
        # Skip a second such word, as in "at about" and "around about".
        at = line.skip_any(at + 1, APPROXIMATELY)
    if line.has_number(at):
        # A fast path, because most numbers count something else.
        unit = at + 1 + 2 * (line.words[at + 1] in {"/", "."})
        if line.words[unit] not in _AFTER_NUMBER:
            return None
    amount = find_amount(line, at)
    if amount is None:
        return None
    return _find_unit(line, amount.end, amount.value)


def _find_unit(line: Line, at: int, amount: Fraction) -> Match[tuple[Unit, int]] | None:
    at = line.skip(at, "more")
    token = line[at]
    unit = UNITS.get(token.text)
    if token.text == "m" and not token.is_spaced:
        unit = "minute"
    if token.text in {"fortnight", "fortnights"}:
        unit, amount = "week", 2 * amount
    if unit is None or (len(token.text) == 1 and token.is_spaced and token.text != "h"):
        return None
    end = at + 1
    half = line.phrase(end, "and a half")
    if half > 0:
        amount, end = amount + Fraction(1, 2), half
    # This is much faster than multiplying fractions.
    size, rest = divmod(amount.numerator * _SIZES[unit], amount.denominator)
    return Match((unit, size), end) if size > 0 and not rest else None
