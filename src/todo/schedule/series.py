"""Series of recurring tasks: the stored form of the rule, and the next due date or time."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from todo.core.domain import RecurrenceFrom
from todo.schedule.days import NeverOccursError, find_next
from todo.schedule.due import at_wall_time
from todo.schedule.rule import Frequency, Rule, read_rule

# In the 28 years after this day, every day of the year falls on every weekday.
_ANY_DAY = date(1999, 12, 31)
_SHORTEST_MONTH = 28


@dataclass(frozen=True, slots=True)
class NextDue:
    """Next due date or due time in UTC, and the rule of the remaining series."""

    due_date: date | None
    due_at: datetime | None
    rule: Rule


def parse_rule(text: str) -> Rule:
    """Parse a rule, with or without the prefix `RRULE:`.

    Raises:
        ValueError: The rule is invalid or unsupported, or never occurs.
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
    """Return the rule in the form that is stored with an instance.

    A rule that counts from the schedule gets the days that RFC 5545 derives from its start: an
    instance only has its own due date, and the 31st must survive a February.

    Raises:
        ValueError: The rule has no day after the due date or time.
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
    """Return the due date or time of the instance after a completed one; None ends the series.

    Counted from the schedule, it is the next day of the rule after the due date, even in the past:
    no instance is skipped. Counted from completion, or without a due date, it is the next day after
    that of completion, in `due_zone` for a due time, otherwise in the account's zone. Clock changes
    do not affect the wall time.
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
    """Return the rule completed by the days that RFC 5545 derives from the start."""
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
    """Return the rule without the days that `normalize` derived from its start.

    This is for a rule that is switched to count from completion, which then becomes its start.
    """
    start = due_date if due_at is None else _nominal(rule, due_at, due_zone or UTC)[0]
    if start is None or (rule.by_set_pos and not rule.by_week_no):
        # BYSETPOS needs the days among which it selects.
        return rule
    without = replace(rule, by_day=(), by_month_day=())
    for bare in (replace(without, by_month=()), without):
        if _name_days(bare, start) == rule:
            return bare
    return rule


def _next_after_completion(rule: Rule, start: date) -> date | None:
    """Return the next day; if a month lacks the day, its last day.

    A rule that counts from completion has no fixed day of the month: a month after January 31 is
    the end of February, not March 31.
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
    # From a moved due date or the day of completion, INTERVAL may skip every day of the rule. Its
    # next day without INTERVAL is then closer to the user's intent than the end of the series.
    for interval in (rule.interval, 1):
        with contextlib.suppress(NeverOccursError):
            return find_next(replace(rule, interval=interval), start)
    # The weeks of the rule do not have the weekday of completion within its months.
    return None


def _nominal(rule: Rule, due_at: datetime, zone: tzinfo) -> tuple[date, time, bool]:
    """Return the intended day and wall time of a due time, and whether the rule's clock set them.

    A gap may have shifted the due time; the rule has kept the intended wall time.
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
