"""Parser of days and periods for searches.

Unlike quick add, it accepts days in the past, such as `yesterday`, and a week or a month means all
of its days.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from todo.quickadd.days.present import Present, make_date, make_present
from todo.quickadd.parser import parse_due
from todo.quickadd.times.durations import find_duration
from todo.quickadd.tokens.line import Line
from todo.quickadd.vocabulary import WEEKDAYS
from todo.schedule.due import EARLIEST

_DAY = timedelta(days=1)
_PERIODS = {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1}
_BACK = frozenset({"last", "past", "previous"})
_YESTERDAYS = {"yesterday": 1, "the day before yesterday": 2, "day before yesterday": 2}


@dataclass(frozen=True, slots=True)
class Days:
    """Range of days, including the first and the last."""

    first: date
    last: date


def parse_window(text: str, now: datetime, zone: tzinfo) -> Days | datetime:
    """Parse a whole text as days or an instant, or raise a ValueError with a remedy."""
    present = make_present(now, zone)
    found = _find_past(Line(text), present)
    if found is None:
        try:
            found = parse_due(text, now, zone)
        except ValueError:
            raise ValueError(
                "not a day or a time; write, for example, yesterday, last monday, 3 days ago, "
                f"last week, or today as {present.today.isoformat()}"
            ) from None
    if isinstance(found, datetime | Days):
        return found
    return Days(found, found)


def _find_past(line: Line, present: Present) -> Days | date | datetime | None:
    for words, days in _YESTERDAYS.items():
        if line.phrase(0, words) == len(line):
            return present.today - days * _DAY
    name, unit = line.words[0], line.words[1]
    if name not in _PERIODS or len(line) != 2:  # noqa: PLR2004 - two words
        return _find_ago(line, present)
    if name in _BACK and unit in WEEKDAYS:
        return present.today - _DAY * ((present.today.weekday() - WEEKDAYS[unit] - 1) % 7 + 1)
    return _find_period(unit, _PERIODS[name], present)


def _find_ago(line: Line, present: Present) -> date | datetime | None:
    length = find_duration(line, 0)
    if length is None or line.words[length.end] != "ago" or length.end + 1 != len(line):
        return None
    day = length.value.before_day(present.today)
    minutes = timedelta(minutes=length.value.minutes)
    if day is None or minutes >= day - EARLIEST:
        return None
    moved = present.now - (present.today - day) - minutes
    return moved.replace(second=0, microsecond=0) if minutes else day


def _find_period(unit: str, steps: int, present: Present) -> Days | None:
    """Return the days of a week (from Monday), month or year, `steps` after the current one."""
    if unit == "week":
        monday = present.week(steps)
        return Days(monday, monday + 6 * _DAY)
    if unit == "month":
        return Days(present.month(steps), present.month(steps + 1) - _DAY)
    year = present.today.year + steps
    first, last = make_date(year, 1, 1), make_date(year, 12, 31)
    return Days(first, last) if unit == "year" and first and last else None
