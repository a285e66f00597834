"""The days of a rule, looked for in a bounded number of days.

Not with dateutil: it searches up to the year 9999, seconds long, for a rule that never occurs
(docs/adr/0019-recurrence-of-our-own.md).
"""

import calendar
from collections.abc import Iterator
from datetime import date, timedelta

from todo.recurrence.rule import Frequency, Rule
from todo.tasks.due import LATEST

_DAY = timedelta(days=1)
_WEEK = 7
_MONTHS = 12
# The fourth of January is always in the first week of its year: a week belongs to the year that
# has most of it.
_FIRST_WEEK = 4

# Whatever the calendar repeats on a weekday comes back within 40 years: after a century without
# leap day, the 29th of February on a Monday takes that long.
_SEARCHED_YEARS = 50
_PERIODS_A_YEAR = {
    Frequency.DAILY: 366,
    Frequency.WEEKLY: 53,
    Frequency.MONTHLY: _MONTHS,
    Frequency.YEARLY: 1,
}


class NeverOccursError(ValueError):
    """No day of the calendar fits the rule."""


def find_next(rule: Rule, start: date) -> date | None:
    """Return the first day of a rule after the day that its periods are counted from.

    COUNT and UNTIL are not looked at.

    Args:
        rule: A rule whose parts name its days: nothing is left to the start but the phase.
        start: The day of this instance.

    Returns:
        The day, or None when the calendar of this program ends before it.

    Raises:
        NeverOccursError: Nothing in 50 years, or in 50 repetitions where those take longer.
    """
    repetitions = max(
        _SEARCHED_YEARS, _SEARCHED_YEARS * _PERIODS_A_YEAR[rule.frequency] // rule.interval
    )
    for number in range(repetitions):
        try:
            days = [day for day in _period(rule, start, number) if _fits(rule, day)]
        except (OverflowError, ValueError):
            return None
        if rule.by_set_pos:
            days = _choose(rule, days)
        for day in days:
            if day > start:
                return day if day <= LATEST else None
    raise NeverOccursError(f"never occurs after {start}")


def _period(rule: Rule, start: date, number: int) -> Iterator[date]:
    """The days among which a repetition of the rule finds its own, in order."""
    step = number * rule.interval
    if rule.frequency is Frequency.DAILY:
        yield start + step * _DAY
    elif rule.frequency is Frequency.WEEKLY:
        first = _week_of(start, rule.week_start) + step * _WEEK * _DAY
        yield from (first + offset * _DAY for offset in range(_WEEK))
    elif rule.frequency is Frequency.MONTHLY:
        months = start.year * _MONTHS + start.month - 1 + step
        yield from _days_of_month(months // _MONTHS, months % _MONTHS + 1)
    else:
        for month in rule.by_month or range(1, _MONTHS + 1):
            yield from _days_of_month(start.year + step, month)


def _days_of_month(year: int, month: int) -> Iterator[date]:
    first = date(year, month, 1)
    last = calendar.monthrange(year, month)[1]
    return (first.replace(day=day) for day in range(1, last + 1))


def _week_of(day: date, week_start: int) -> date:
    return day - (day.weekday() - week_start) % _WEEK * _DAY


def _fits(rule: Rule, day: date) -> bool:
    if rule.by_month and day.month not in rule.by_month:
        return False
    if rule.by_month_day:
        length = calendar.monthrange(day.year, day.month)[1]
        if not {day.day, day.day - length - 1} & set(rule.by_month_day):
            return False
    if rule.by_day and not _fits_weekday(rule, day):
        return False
    if rule.by_year_day:
        number, length = _in_year(day)
        if not {number, number - length - 1} & set(rule.by_year_day):
            return False
    return not rule.by_week_no or bool(_week_numbers(rule, day) & set(rule.by_week_no))


def _fits_weekday(rule: Rule, day: date) -> bool:
    weekday = day.weekday()
    nths = {nth for nth, each in rule.by_day if each == weekday}
    if not nths or 0 in nths:
        return bool(nths)
    if rule.frequency is Frequency.MONTHLY or rule.by_month:
        number, length = day.day, calendar.monthrange(day.year, day.month)[1]
    else:
        number, length = _in_year(day)
    return bool({(number - 1) // _WEEK + 1, -((length - number) // _WEEK + 1)} & nths)


def _in_year(day: date) -> tuple[int, int]:
    return day.timetuple().tm_yday, 365 + calendar.isleap(day.year)


def _week_numbers(rule: Rule, day: date) -> set[int]:
    """The number of a day's week, from the begin and from the end of the year it belongs to."""
    begins = [
        _week_of(date(year, 1, _FIRST_WEEK), rule.week_start)
        for year in (day.year - 1, day.year, day.year + 1)
    ]
    begin, end = begins[:2] if day < begins[1] else begins[1:]
    if day >= end:
        # The last days of December may be in the next year's first week.
        begin, end = end, _week_of(date(day.year + 2, 1, _FIRST_WEEK), rule.week_start)
    number = (day - begin).days // _WEEK + 1
    return {number, number - (end - begin).days // _WEEK - 1}


def _choose(rule: Rule, days: list[date]) -> list[date]:
    places = {place - 1 if place > 0 else len(days) + place for place in rule.by_set_pos}
    return [day for place, day in enumerate(days) if place in places]
