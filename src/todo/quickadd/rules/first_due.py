"""First due date and end of a recurrence."""

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
    """Return the first due date of a rule on or after a day, by default today, or None.

    With a time of day, the due date is an instant in the user's zone that has not passed.
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
    """Return the first day of a rule on or after a day, or None if there is none."""
    names_days = rule.by_day or rule.by_month_day or rule.by_year_day
    if not (names_days or rule.by_week_no or rule.by_month):
        # The rule has only a period, which is counted from the start.
        return start
    if not names_days and rule.frequency is not Frequency.DAILY:
        return _find_in_months(rule, start)
    try:
        return find_next(replace(rule, interval=1), start - _DAY)
    except NeverOccursError:
        return None


def _find_in_months(rule: Rule, start: date) -> date | None:
    """Return the start if its month is in the rule, otherwise the first of the next such month."""
    if not rule.by_month or start.month in rule.by_month:
        return start
    return min(filter(None, (next_date(start, month, 1) for month in rule.by_month)), default=None)


def has_day(rule: Rule, day: date) -> bool:
    """Return whether a day matches a rule; a rule without days matches every day."""
    return find_first_day(rule, day) == day


def end_on(rule: Rule, until: date, clock: time | None) -> Rule:
    """Return a rule that ends on a day, at an optional time in UTC."""
    return replace(rule, until=until if clock is None else datetime.combine(until, clock))


def end_after(rule: Rule, end: Lasting | Times, first: date) -> Rule:
    """Return a rule that ends after a duration from its first day, or a number of times."""
    if isinstance(end, Times):
        return replace(rule, count=end.count)
    after = end.length.after_day(first)
    return rule if after is None else replace(rule, until=after - _DAY)
