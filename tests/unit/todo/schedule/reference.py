"""Reference implementation of rules and wall times by plain counting, slow and independent."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from todo.schedule.rule import Frequency, Rule

DAY = timedelta(days=1)


def scan(rule: Rule, start: date, first: date, last: date) -> Iterator[date]:
    """The days of a rule that began at the start, looked for from the first to the last."""
    for number in range((last - first).days + 1):
        if occurs(rule, start, first + number * DAY):
            yield first + number * DAY


def occurs(rule: Rule, start: date, day: date) -> bool:
    if period(rule, start, day) % rule.interval or not fits(rule, day):
        return False
    if not rule.by_set_pos:
        return True
    around = (day + offset * DAY for offset in range(-366, 367))
    fitting = [
        each for each in around if period(rule, day, each) == 0 and fits(rule, each)
    ]  # fmt: skip
    place = fitting.index(day)
    return place + 1 in rule.by_set_pos or place - len(fitting) in rule.by_set_pos


def period(rule: Rule, start: date, day: date) -> int:
    """Return the number of periods from the start's to the day's."""
    if rule.frequency is Frequency.DAILY:
        return (day - start).days
    if rule.frequency is Frequency.WEEKLY:
        since = start
        while since.weekday() != rule.week_start:
            since -= DAY
        return (day - since).days // 7
    years = day.year - start.year
    return years if rule.frequency is Frequency.YEARLY else 12 * years + day.month - start.month


def fits(rule: Rule, day: date) -> bool:
    last = monthrange(day.year, day.month)[1]
    first_of_year, last_of_year = date(day.year, 1, 1), date(day.year, 12, 31)
    tests = [
        not rule.by_month or day.month in rule.by_month,
        not rule.by_month_day
        or any(day.day == (each if each > 0 else last + 1 + each) for each in rule.by_month_day),
        not rule.by_year_day
        or (day - first_of_year).days + 1 in rule.by_year_day
        or (day - last_of_year).days - 1 in rule.by_year_day,
        not rule.by_day or any(is_nth(rule, day, *each) for each in rule.by_day),
        not rule.by_week_no or any(is_week(rule, day, each) for each in rule.by_week_no),
    ]
    return all(tests)


def is_nth(rule: Rule, day: date, nth: int, weekday: int) -> bool:
    if nth == 0 or day.weekday() != weekday:
        return day.weekday() == weekday
    whole_year = rule.frequency is Frequency.YEARLY and not rule.by_month
    # Going that many weeks on leaves the month (or year), one less does not.
    inside, outside = (
        day + (week if nth < 0 else -week) * 7 * DAY for week in (abs(nth) - 1, abs(nth))
    )
    begins = [each.year if whole_year else each.replace(day=1) for each in (day, inside, outside)]
    return begins[0] == begins[1] != begins[2]


def is_week(rule: Rule, day: date, number: int) -> bool:
    # ISO weeks begin on Monday: shift the calendar so that this rule's do.
    middle = day
    while middle.weekday() != (rule.week_start + 3) % 7:
        middle += DAY if (day.weekday() - rule.week_start) % 7 < 3 else -DAY
    # A week belongs to the year of its fourth day.
    week = (middle - date(middle.year, 1, 1)).days // 7 + 1
    weeks_after = (date(middle.year, 12, 31) - middle).days // 7
    return number in {week, -(weeks_after + 1)}


def instant(day: date, clock: time, zone: tzinfo) -> datetime:
    """The first instant at which the wall shows this, or what it would be without the gap."""
    wall = datetime.combine(day, clock)
    around = [wall.replace(tzinfo=UTC) + hours * timedelta(hours=1) for hours in (-30, 30)]
    offsets = [each.astimezone(zone).utcoffset() or timedelta() for each in around]
    shown = [
        at
        for at in ((wall - offset).replace(tzinfo=UTC) for offset in offsets)
        if at.astimezone(zone).replace(tzinfo=None) == wall
    ]
    return min(shown, default=(wall - offsets[0]).replace(tzinfo=UTC))
