"""Days on which a rule recurs, found by a bounded search.

dateutil is not used: for a rule that never occurs, it searches for seconds, up to the year 9999
(docs/adr/0019-compute-recurrence-days-ourselves.md). Here, the days of a year are the bits of one
integer, from January 1 on. Each part of a rule is a mask, and the AND of all masks has the matching
days. So a search of 50 years takes a millisecond for any rule.
"""

import calendar
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import lru_cache
from itertools import accumulate, pairwise

from todo.schedule.due import LATEST
from todo.schedule.rule import Frequency, Rule

_WEEK = 7
_MONTHS = 12
# January 4 is always in the first week of its year: a week belongs to the year of most of its days.
_FIRST_WEEK = 4
_LAST = LATEST.toordinal()

# Every date recurs on every weekday within 40 years; February 29 takes that long around a century
# year that is not a leap year.
_SEARCHED_YEARS = 50
_PERIODS_A_YEAR = {
    Frequency.DAILY: 366,
    Frequency.WEEKLY: 53,
    Frequency.MONTHLY: _MONTHS,
    Frequency.YEARLY: 1,
}
# Number of cached searches: more than the rules of a batch, and at most a few megabytes.
_REMEMBERED = 256
_EVERY_WEEK = sum(1 << day for day in range(0, 366, _WEEK))


class NeverOccursError(ValueError):
    """No day of the calendar matches the rule."""


def find_next(rule: Rule, start: date) -> date | None:
    """Return the first day of a rule after `start`; None if that day is after LATEST.

    The parts of the rule must name its days: `start` only sets the phase of INTERVAL. COUNT and
    UNTIL are ignored.

    Raises:
        NeverOccursError: No day matches within 50 years or 50 repetitions, whichever is longer.
    """
    found = _search(replace(rule, count=None, until=None, clock=None), start)
    if found is None:
        raise NeverOccursError(f"never occurs after {start}")
    return found if found <= LATEST else None


@lru_cache(_REMEMBERED)
def _search(rule: Rule, start: date) -> date | None:
    """Return the next day, or the day after LATEST if it is later; None if there is no day."""
    repetitions = max(
        _SEARCHED_YEARS, _SEARCHED_YEARS * _PERIODS_A_YEAR[rule.frequency] // rule.interval
    )
    fitting = _FittingDays(rule)
    if rule.frequency is Frequency.DAILY:
        days: Iterator[int] = _find_daily(rule, fitting, start.toordinal(), repetitions)
    else:
        days = _find_in_periods(rule, fitting, start, repetitions)
    found = next(days, None)
    return None if found is None else date.fromordinal(min(found, _LAST + 1))


def find_days_of_year(rule: Rule, year: int) -> list[date]:
    """Return the days of a yearly rule in one year; INTERVAL, COUNT and UNTIL are ignored."""
    first = _new_year(year)
    days = _FittingDays(rule).between(first, _new_year(year + 1))
    if rule.by_set_pos:
        days = _choose(rule, days)
    return [date.fromordinal(day) for day in days]


def find_fitting_days(rule: Rule, first: date, end: date) -> list[date]:
    """Return the days that match a rule, from `first` to before `end`.

    INTERVAL, BYSETPOS, COUNT and UNTIL are ignored.
    """
    days = _FittingDays(rule).between(first.toordinal(), end.toordinal())
    return [date.fromordinal(day) for day in days]


def _find_daily(rule: Rule, fitting: "_FittingDays", start: int, repetitions: int) -> Iterator[int]:
    """Yield the days of a daily rule after the start; the phase of INTERVAL is also a mask."""
    if rule.by_set_pos and not {1, -1} & set(rule.by_set_pos):
        # With periods of one day, BYSETPOS selects from a single element.
        return
    end = start + repetitions * rule.interval
    in_phase = sum(1 << day for day in range(0, 366, rule.interval))
    year = date.fromordinal(start).year
    first = _new_year(year)
    while first < end:
        if first > _LAST:
            yield first
        days = fitting.in_year(year) & (in_phase << (start - first) % rule.interval)
        yield from (day for day in _list_days(days, first) if start < day < end)
        year, first = year + 1, _new_year(year + 1)


def _find_in_periods(
    rule: Rule, fitting: "_FittingDays", start: date, repetitions: int
) -> Iterator[int]:
    """Yield the days of any other rule after the start, period by period."""
    after = start.toordinal()
    for number in range(repetitions):
        first, end = _find_period(rule, start, number * rule.interval)
        if first > _LAST:
            yield first
        days = fitting.between(first, end)
        if rule.by_set_pos:
            days = _choose(rule, days)
        yield from (day for day in days if day > after)


def _find_period(rule: Rule, start: date, step: int) -> tuple[int, int]:
    """Return the half-open range of the period that is `step` periods after that of the start.

    The days are ordinals, because a period may be after the last `date`.
    """
    if rule.frequency is Frequency.WEEKLY:
        first = _week_of(start.toordinal(), rule.week_start) + step * _WEEK
        return first, first + _WEEK
    if rule.frequency is Frequency.YEARLY:
        return _new_year(start.year + step), _new_year(start.year + step + 1)
    months = start.year * _MONTHS + start.month - 1 + step
    year, month = divmod(months, _MONTHS)
    begins = _begins_of_months(calendar.isleap(year))
    return _new_year(year) + begins[month], _new_year(year) + begins[month + 1]


class _FittingDays:
    """Days that match all parts of a rule except INTERVAL and BYSETPOS, computed by year."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        # Years with the same weekdays and week numbers share a mask.
        self._masks: dict[tuple[int, ...], int] = {}

    def in_year(self, year: int) -> int:
        """Return the mask of the matching days of a year; the lowest bit is January 1."""
        around = (year - 1, year, year + 1)
        kind = (_new_year(year) % _WEEK, *(calendar.isleap(each) for each in around))
        if kind not in self._masks:
            self._masks[kind] = _fit(self._rule, year)
        return self._masks[kind]

    def between(self, first: int, end: int) -> list[int]:
        """Return the ordinals of the matching days from `first` to before `end`."""
        found: list[int] = []
        year = date.fromordinal(first).year
        while first < end:
            begin, following = _new_year(year), _new_year(year + 1)
            days = self.in_year(year) >> (first - begin) & _bits(0, min(end, following) - first)
            found += _list_days(days, first)
            first, year = following, year + 1
        return found


def _fit(rule: Rule, year: int) -> int:
    first, length = _new_year(year), 365 + calendar.isleap(year)
    begins = _begins_of_months(calendar.isleap(year))
    months = [
        span
        for number, span in enumerate(pairwise(begins), 1)
        if not rule.by_month or number in rule.by_month
    ]
    days = 0
    for begin, end in months:
        days |= _bits(begin, end) if not rule.by_month_day else 0
        for number in rule.by_month_day:
            day = begin + number - 1 if number > 0 else end + number
            days |= _bit(day) if begin <= day < end else 0
    if rule.by_year_day:
        days &= _union(_bit(n - 1 if n > 0 else length + n) for n in rule.by_year_day)
    if rule.by_day:
        by_month = rule.frequency is Frequency.MONTHLY or bool(rule.by_month)
        spans = months if by_month else [(0, length)]
        days &= _union(_fit_weekday(first, *day, spans) for day in rule.by_day)
    if rule.by_week_no:
        days &= _fit_weeks(rule, year)
    return days & _bits(0, length)


def _fit_weekday(first: int, nth: int, weekday: int, spans: list[tuple[int, int]]) -> int:
    """Return the mask of a weekday, or of its nth occurrence in each span."""
    # Ordinal 1 is a Monday.
    if nth == 0:
        return _EVERY_WEEK << (weekday - first + 1) % _WEEK
    days = 0
    for begin, end in spans:
        if nth > 0:
            day = begin + (weekday - (first + begin) + 1) % _WEEK + (nth - 1) * _WEEK
        else:
            day = end - 1 - ((first + end - 2) - weekday) % _WEEK + (nth + 1) * _WEEK
        days |= _bit(day) if begin <= day < end else 0
    return days


def _fit_weeks(rule: Rule, year: int) -> int:
    """Return the mask of the days in the weeks that BYWEEKNO selects."""
    begins = [
        _week_of(_new_year(each) + _FIRST_WEEK - 1, rule.week_start)
        for each in range(year - 1, year + 3)
    ]
    before, own, after = (
        (begin - _new_year(year), (end - begin) // _WEEK) for begin, end in pairwise(begins)
    )
    days = 0
    # Around New Year, days may be in the last week of the previous year or the first of the next.
    for begin, count in (before, own, after):
        for number in rule.by_week_no:
            week = number - 1 if number > 0 else count + number
            if 0 <= week < count:
                days |= _bits(max(0, begin + week * _WEEK), max(0, begin + (week + 1) * _WEEK))
    return days


def _choose(rule: Rule, days: list[int]) -> list[int]:
    places = {place - 1 if place > 0 else len(days) + place for place in rule.by_set_pos}
    return [day for place, day in enumerate(days) if place in places]


def _new_year(year: int) -> int:
    """Return the ordinal of January 1, also for years that `date` does not support."""
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + 1


def _week_of(day: int, week_start: int) -> int:
    return day - (day - 1 - week_start) % _WEEK


@lru_cache(2)
def _begins_of_months(is_leap: bool) -> tuple[int, ...]:  # noqa: FBT001 - a property of the year
    lengths = [calendar.monthrange(2000 if is_leap else 2001, month)[1] for month in range(1, 13)]
    return tuple(accumulate(lengths, initial=0))


def _bit(day: int) -> int:
    return 1 << day if day >= 0 else 0


def _bits(begin: int, end: int) -> int:
    return (1 << end) - (1 << begin)


def _union(masks: Iterator[int]) -> int:
    days = 0
    for mask in masks:
        days |= mask
    return days


def _list_days(days: int, first: int) -> Iterator[int]:
    while days:
        lowest = days & -days
        yield first + lowest.bit_length() - 1
        days ^= lowest
