"""Recurrence rules whose days are those of another rule, shifted by some days.

Not every shifted set of days can be expressed as a rule. Candidates are therefore compared with the
original over the 400 years after which the calendar repeats: a rule with weekdays of a month may
match for decades and differ in one February.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

from todo.schedule.days import find_fitting_days
from todo.schedule.rule import Frequency, Rule

_WEEK = 7
_MONTHS = 12
_LONGEST_MONTH = 31
# The calendar repeats after 400 years, weekdays included.
_CYCLE_START = date(2000, 1, 1)
_CYCLE_END = date(2400, 1, 1)
# Rules are costly to compare, and the tasks of a file share only a few.
_CACHED = 256


@lru_cache(_CACHED)
def move_rule(rule: Rule, start: date, days: int) -> Rule | None:
    """Return a rule for the shifted days of another rule, or None if no rule expresses them.

    The rule must be normalized, so that it depends on its start only for the phase of INTERVAL.
    COUNT and UNTIL are not changed.
    """
    in_month = rule.frequency in {Frequency.MONTHLY, Frequency.YEARLY}
    if not in_month and not (rule.by_month or rule.by_month_day):
        # Shifted weekdays are always exact and need no comparison.
        matters = rule.frequency is Frequency.WEEKLY and (rule.interval > 1 or rule.by_set_pos)
        week_start = (rule.week_start + days) % _WEEK if matters else rule.week_start
        return replace(rule, by_day=_move_weekdays(rule, days), week_start=week_start)
    guesses = _guess(rule, start, days)
    return next((each for each in guesses if _agree(rule, each, start, days)), None)


def _agree(rule: Rule, moved: Rule, start: date, days: int) -> bool:
    """Return whether the days of `moved` are those of `rule` plus `days`, for all time."""
    distance = timedelta(days=days)
    ours = find_fitting_days(rule, _CYCLE_START, _CYCLE_END)
    theirs = find_fitting_days(moved, _CYCLE_START + distance, _CYCLE_END + distance)
    if [each + distance for each in ours] != theirs:
        return False
    if rule.interval == 1 or rule.frequency is Frequency.DAILY:
        return True
    # INTERVAL must skip the same periods in both rules.
    moves = _number_period(rule, start + distance) - _number_period(rule, start)
    return all(
        _number_period(rule, there) - _number_period(rule, here) == moves
        for here, there in zip(ours, theirs, strict=True)
    )


def _number_period(rule: Rule, day: date) -> int:
    return day.year if rule.frequency is Frequency.YEARLY else day.year * _MONTHS + day.month


def _guess(rule: Rule, start: date, days: int) -> Iterator[Rule]:
    if not rule.by_set_pos and not rule.by_week_no and not rule.by_year_day:
        yield from _move_within_months(rule, days)
    if rule.frequency is Frequency.YEARLY and not rule.by_set_pos and not rule.by_week_no:
        yield from _move_within_years(rule, start + timedelta(days=days))


def _move_weekdays(rule: Rule, days: int) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((nth, (weekday + days) % _WEEK) for nth, weekday in rule.by_day))


def _move_within_months(rule: Rule, days: int) -> Iterator[Rule]:
    month_days = set(rule.by_month_day)
    nths = {nth for nth, _ in rule.by_day}
    if nths and nths != {0}:
        if month_days or len(rule.by_day) != 1:
            return
        # For example, the second Monday of a month is the Monday among its days 8 to 14.
        (nth,) = nths
        first = _WEEK * (nth - 1) + 1 if nth > 0 else _WEEK * nth
        month_days = set(range(first, first + _WEEK))
    if not month_days:
        return
    moved = {_move_month_day(day, days) for day in month_days}
    if any(abs(day) > _LONGEST_MONTH for _, day in moved):
        return
    carries = {carry for carry, _ in moved}
    if len(carries) > 1 and (rule.by_month or rule.interval > 1):
        return
    by_day = tuple((0, weekday) for _, weekday in _move_weekdays(rule, days))
    months = {(month - 1 + carry) % _MONTHS + 1 for month in rule.by_month for carry in carries}
    yield replace(
        rule,
        by_month=tuple(sorted(months)),
        by_month_day=tuple(sorted({day for _, day in moved})),
        by_day=by_day,
    )


def _move_month_day(day: int, days: int) -> tuple[int, int]:
    """Return the relative month (-1, 0 or 1) and the day of a shifted day of the month."""
    there = day + days
    if day < 0:
        return (0, there) if there < 0 else (1, there + 1)
    return (0, there) if there > 0 else (-1, there - 1)


def _move_within_years(rule: Rule, due: date) -> Iterator[Rule]:
    plain = replace(rule, by_month=(), by_month_day=(), by_day=(), by_year_day=())
    yield replace(plain, by_month=(due.month,), by_month_day=(due.day,))
    # With a leap day between start and due, the date varies but the day of the year does not.
    number = due.timetuple().tm_yday
    yield replace(plain, by_year_day=(number,))
    yield replace(plain, by_year_day=(number - date(due.year, 12, 31).timetuple().tm_yday - 1,))
