"""A series of recurring tasks: the stored form of its rule, and the due of the next instance."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from todo.core.domain import RecurrenceFrom
from todo.schedule.days import NeverOccursError, find_next
from todo.schedule.due import at_wall_time
from todo.schedule.rule import Frequency, Rule, read_rule

# Every weekday meets every day of the year in the 28 years from here.
_ANY_DAY = date(1999, 12, 31)
_SHORTEST_MONTH = 28


@dataclass(frozen=True, slots=True)
class NextDue:
    """Due of the next instance: a day or a UTC instant, and the rule of the remaining series."""

    due_date: date | None
    due_at: datetime | None
    rule: Rule


def parse_rule(text: str) -> Rule:
    """Read a rule, with or without `RRULE:` before it.

    Raises:
        ValueError: It is not a rule that tasks can have, or it never occurs.
    """
    rule = read_rule(text)
    try:
        find_next(replace(_name_days(rule, date(2000, 1, 1)), interval=1), _ANY_DAY)
    except NeverOccursError:
        raise ValueError("never occurs, because no day matches all parts; remove one") from None
    return rule


def normalize(
    rule: Rule,
    *,
    due_date: date | None,
    due_at: datetime | None,
    due_zone: tzinfo | None,
    basis: RecurrenceFrom,
) -> Rule:
    """Return the rule in the form that is stored with an instance of this due.

    Called when the rule or the due is set. By the schedule, what a rule leaves to its start is
    written into it: an instance has only its own due, and the 31st must survive a February.

    Args:
        rule: The rule.
        due_date: The day, or None.
        due_at: The instant, or None.
        due_zone: The zone of `due_at`.
        basis: Basis of the next due.

    Raises:
        ValueError: The schedule has no day after this due.
    """
    if due_at is not None:
        clock = None
        if rule.clock is not None and _nominal(rule, due_at, due_zone or UTC)[2]:
            clock = rule.clock
        rule = replace(rule, clock=clock)
        due_date = due_at.astimezone(due_zone or UTC).date()
    else:
        rule = replace(rule, clock=None)
    if due_date is None or basis == "completion":
        return rule
    rule = _name_days(rule, due_date)
    try:
        find_next(rule, due_date)
    except NeverOccursError:
        raise ValueError(
            f"never occurs after {due_date}, because INTERVAL={rule.interval} skips every day "
            "that matches the other parts; remove one, or start on a matching day"
        ) from None
    return rule


def next_due(
    rule: Rule,
    *,
    due_date: date | None,
    due_at: datetime | None,
    due_zone: tzinfo | None,
    basis: RecurrenceFrom,
    completed_at: datetime,
    account_zone: tzinfo,
) -> NextDue | None:
    """Return the due of the instance that follows a completed one; None ends the series.

    By the schedule that is the next after the due, even when it is in the past: nothing is left
    out unless somebody says so. From completion it is the next after the day of completion, as the
    clock on the wall has it: in `due_zone` for an instant, otherwise in the account's. A task
    without due counts from its completion. The wall time stays what it is over changes of clocks.

    Args:
        rule: Rule of the completed instance.
        due_date: Its day, or None.
        due_at: Its instant, or None.
        due_zone: The zone of `due_at`.
        basis: Basis of the next due.
        completed_at: Time of the completion.
        account_zone: Time zone of the task's owner.
    """
    if rule.count == 1:
        return None
    zone = account_zone if due_at is None else (due_zone or UTC)
    start, clock = due_date, time()
    if due_at is not None:
        start, clock, _ = _nominal(rule, due_at, zone)
    if start is None or basis == "completion":
        day = _next_after_completion(rule, completed_at.astimezone(zone).date())
    else:
        day = _find_next(_name_days(rule, start), start)
    if day is None:
        return None
    at = at_wall_time(day, clock, zone)
    if rule.until is not None and _is_over(rule.until, day, at):
        return None
    left = replace(rule, count=None if rule.count is None else rule.count - 1, clock=None)
    if basis == "schedule":
        left = _name_days(left, start or day)
    if due_at is None:
        return NextDue(day, None, left)
    if at.astimezone(zone).time() != clock:
        left = replace(left, clock=clock.replace(microsecond=0))
    return NextDue(None, at, left)


def _name_days(rule: Rule, start: date) -> Rule:
    """Write into a rule what RFC 5545 takes from the start: which day of the period is meant."""
    if rule.by_day or rule.by_month_day or rule.by_year_day:
        return rule
    if rule.frequency is Frequency.WEEKLY or rule.by_week_no:
        return replace(rule, by_day=((0, start.weekday()),))
    if rule.frequency is Frequency.MONTHLY:
        return replace(rule, by_month_day=(start.day,))
    if rule.frequency is Frequency.YEARLY:
        months = rule.by_month or (start.month,)
        return replace(rule, by_month=months, by_month_day=(start.day,))
    return rule


def forget_start(
    rule: Rule, *, due_date: date | None, due_at: datetime | None, due_zone: tzinfo | None
) -> Rule:
    """Return the rule without the days that come from its start; the inverse of `normalize`.

    For a rule that is counted from completion from now on: the day of completion is its start.

    Args:
        rule: Rule as stored with an instance by the schedule.
        due_date: Day of the instance, or None.
        due_at: Its instant, or None.
        due_zone: The zone of `due_at`.
    """
    start = due_date if due_at is None else _nominal(rule, due_at, due_zone or UTC)[0]
    if start is None or (rule.by_set_pos and not rule.by_week_no):
        # BYSETPOS needs the days that it chooses from.
        return rule
    without = replace(rule, by_day=(), by_month_day=())
    for bare in (replace(without, by_month=()), without):
        if _name_days(bare, start) == rule:
            return bare
    return rule


def _next_after_completion(rule: Rule, start: date) -> date | None:
    """Find the next day, with the last one of a month for a day that the month lacks.

    What is counted from completion has no day of the month of its own: a month after the 31st of
    January is the end of February, not the 31st of March.
    """
    named = _name_days(rule, start)
    if named.by_month_day == rule.by_month_day or start.day <= _SHORTEST_MONTH:
        return _find_next(named, start)
    upto = tuple(range(_SHORTEST_MONTH, start.day + 1))
    named = replace(named, by_month_day=upto, by_set_pos=(-1,))
    if rule.frequency is not Frequency.YEARLY:
        return _find_next(named, start)
    days = [_find_next(replace(named, by_month=(month,)), start) for month in named.by_month]
    return min((day for day in days if day is not None), default=None)


def _find_next(rule: Rule, start: date) -> date | None:
    # The due was moved, or the day of completion lies so that INTERVAL passes over every day of
    # the rule. The next of its days is closer to what is meant than an end of the series.
    for interval in (rule.interval, 1):
        with contextlib.suppress(NeverOccursError):
            return find_next(replace(rule, interval=interval), start)
    # The weekday of completion is one that the rule's weeks do not have within its months.
    return None


def _nominal(rule: Rule, due_at: datetime, zone: tzinfo) -> tuple[date, time, bool]:
    """Return the day and the wall time that a due means, and whether they are the rule's clock.

    A gap may have moved the due off both; the rule has kept the wall time.
    """
    local = due_at.astimezone(zone).replace(tzinfo=None)
    if rule.clock is not None:
        clock = rule.clock.replace(microsecond=local.microsecond)
        for day in (local.date(), local.date() - timedelta(days=1)):
            if at_wall_time(day, clock, zone) == due_at and clock != local.time():
                return day, clock, True
    return local.date(), local.time(), False


def _is_over(until: date, day: date, at: datetime) -> bool:
    return at > until if isinstance(until, datetime) else day > until
