"""The first due of a recurrence, and where it ends."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from todo.quickadd.days.present import Present, next_date
from todo.quickadd.rules.bounds import Lasting, Times
from todo.quickadd.times.clock import Clock
from todo.quickadd.times.instants import instant_of
from todo.schedule.days import NeverOccursError, find_next
from todo.schedule.rule import Frequency, Rule

_DAY = timedelta(days=1)


def find_first_due(
    rule: Rule, clock: Clock | None, start: date | None, present: Present
) -> date | datetime | None:
    """Return the first due of a rule on or after a day; today counts if its time has not passed.

    Args:
        rule: The rule.
        clock: The time of day, or None.
        start: The day from which it starts, or None for today.
        present: The present.

    Returns:
        A day, or with a time an instant in the zone of the user; None if the rule has none.
    """
    day = find_first_day(rule, start or present.today)
    if day is None or clock is None:
        return day
    due = instant_of(day, clock, present)
    if due <= present.now:
        day = find_first_day(rule, max(day, present.today) + _DAY)
        due = due if day is None else instant_of(day, clock, present)
    return due


def find_first_day(rule: Rule, start: date) -> date | None:
    """Return the first day of a rule on or after a day, or None when it never occurs."""
    names_days = rule.by_day or rule.by_month_day or rule.by_year_day
    if not (names_days or rule.by_week_no or rule.by_month):
        # Nothing but the period is known: it is counted from the start.
        return start
    if not names_days and rule.frequency is not Frequency.DAILY:
        return _find_in_months(rule, start)
    try:
        return find_next(replace(rule, interval=1), start - _DAY)
    except NeverOccursError:
        return None


def _find_in_months(rule: Rule, start: date) -> date | None:
    """Return the start, or the first day after it in one of the months of a rule."""
    if not rule.by_month or start.month in rule.by_month:
        return start
    return min(filter(None, (next_date(start, month, 1) for month in rule.by_month)), default=None)


def has_day(rule: Rule, day: date) -> bool:
    """Return whether a rule has a day; one that names no days has each."""
    return find_first_day(rule, day) == day


def end_on(rule: Rule, until: date, clock: time | None) -> Rule:
    """Return a rule that ends on a day, at a time of it in UTC."""
    return replace(rule, until=until if clock is None else datetime.combine(until, clock))


def end_after(rule: Rule, end: Lasting | Times, first: date) -> Rule:
    """Return a rule that ends so long, or so often, after its first day."""
    if isinstance(end, Times):
        return replace(rule, count=end.count)
    after = end.length.after_day(first)
    return rule if after is None else replace(rule, until=after - _DAY)
