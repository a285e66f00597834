"""Description of recurrence rules in English words that quick add parses as the same rule.

`parse_recurrence(describe_rule(rule))` returns the rule, for every rule that tasks can have. Rules
that cannot be expressed in common words, such as lists of BYSETPOS, are rendered as an RRULE.
"""

from collections.abc import Iterable
from datetime import date, datetime

from todo.core.domain import RecurrenceFrom
from todo.quickadd.days.present import days_of_month
from todo.quickadd.vocabulary import MONTH_NAMES, WEEKDAY_NAMES
from todo.schedule.due import EARLIEST, LATEST
from todo.schedule.rule import Frequency, Rule

_UNITS = {
    Frequency.DAILY: "day",
    Frequency.WEEKLY: "week",
    Frequency.MONTHLY: "month",
    Frequency.YEARLY: "year",
}
_PLACES = ("", "first", "second", "third", "fourth", "fifth")
_LEAP_YEAR = 2000
_WORKING_DAYS = ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4))
_SETS = {_WORKING_DAYS: "weekday", ((0, 5), (0, 6)): "weekend"}


def describe_rule(rule: Rule, recurrence_from: RecurrenceFrom = "schedule") -> str:
    """Return a rule in words, such as "every 2 weeks on Monday until 31 March 2027"."""
    words = _describe_days(rule) if _has_readable_end(rule) else None
    if words is None:
        words, end = f"RRULE:{rule}", ""
    else:
        end = _describe_end(rule)
    completion = " after completion" if recurrence_from == "completion" else ""
    return f"{words}{completion}{end}"


def _describe_days(rule: Rule) -> str | None:
    if rule.clock is not None or rule.by_week_no or rule.by_year_day:
        return None
    days = _DESCRIBE[rule.frequency](rule)
    weeks = f" with weeks from {WEEKDAY_NAMES[rule.week_start]}" if rule.week_start else ""
    return None if days is None else f"every {days}{weeks}"


def _describe_period(rule: Rule) -> str:
    unit = _UNITS[rule.frequency]
    return unit if rule.interval == 1 else f"{rule.interval} {unit}s"


def _describe_daily(rule: Rule) -> str | None:
    if rule.by_set_pos or rule.by_month_day:
        return None
    return f"{_describe_period(rule)}{_on_weekdays(rule)}{_in_months(rule)}"


def _describe_weekly(rule: Rule) -> str | None:
    if rule.by_set_pos:
        return None
    if rule.interval == 1 and rule.by_day:
        return f"{_name_weekdays(rule)}{_in_months(rule)}"
    return f"{_describe_period(rule)}{_on_weekdays(rule)}{_in_months(rule)}"


def _describe_monthly(rule: Rule) -> str | None:
    days = _days_of_month(rule)
    if days is None:
        return None
    if rule.interval == 1 and len(days) == 1 and not days[0][0].isdigit():
        return f"{days[0]} of the month{_in_months(rule)}"
    return f"{_describe_period(rule)}{_on_days(days)}{_in_months(rule)}"


def _describe_yearly(rule: Rule) -> str | None:
    days = _days_of_month(rule)
    if days is None or (days and not rule.by_month):
        return None
    period = _describe_period(rule)
    if not days:
        return f"{period}{_in_months(rule)}"
    if len(rule.by_month) == len(rule.by_month_day) == 1:
        month, day = rule.by_month[0], rule.by_month_day[0]
        # Dates that do not exist, such as 31 February, would not be parsed as dates.
        if 0 < day <= days_of_month(_LEAP_YEAR, month):
            return f"{period} on {day} {MONTH_NAMES[month - 1]}"
    return f"{period}{_on_days(days)} of {_name_months(rule)}"


_DESCRIBE = {
    Frequency.DAILY: _describe_daily,
    Frequency.WEEKLY: _describe_weekly,
    Frequency.MONTHLY: _describe_monthly,
    Frequency.YEARLY: _describe_yearly,
}


def _on_weekdays(rule: Rule) -> str:
    return f" on {_name_weekdays(rule, plural='s')}" if rule.by_day else ""


def _name_weekdays(rule: Rule, plural: str = "") -> str:
    if rule.by_day in _SETS:
        return f"{_SETS[rule.by_day]}{plural}"
    return _enumerate(WEEKDAY_NAMES[weekday] for _, weekday in rule.by_day)


def _in_months(rule: Rule) -> str:
    return f" in {_name_months(rule)}" if rule.by_month else ""


def _name_months(rule: Rule) -> str:
    return _enumerate(MONTH_NAMES[month - 1] for month in rule.by_month)


def _on_days(days: list[str]) -> str:
    return f" on the {_enumerate(days)}" if days else ""


def _days_of_month(rule: Rule) -> list[str] | None:
    """Return the days of a month in words, without "the"; None if there are no words."""
    if rule.by_month_day:
        if rule.by_day or rule.by_set_pos:
            return None
        return [_day_of_month(day) for day in rule.by_month_day]
    if rule.by_set_pos:
        if rule.by_day != _WORKING_DAYS or len(rule.by_set_pos) > 1:
            return None
        pairs = [(rule.by_set_pos[0], "weekday")]
    else:
        pairs = [(nth, WEEKDAY_NAMES[weekday]) for nth, weekday in rule.by_day]
    if not all(-len(_PLACES) < nth < len(_PLACES) and nth for nth, _ in pairs):
        return None
    return [f"{_place(nth)} {name}" for nth, name in pairs]


def _day_of_month(day: int) -> str:
    return ordinal(day) if day > 0 else f"{_place(day, ordinal(-day))} day"


def _place(nth: int, name: str = "") -> str:
    name = name or _PLACES[abs(nth)]
    if nth > 0:
        return name
    return "last" if nth == -1 else f"{name} to last"


def ordinal(number: int) -> str:
    """Return a number as an ordinal: 1st, 2nd, 3rd, 4th."""
    teen = number % 100 // 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _enumerate(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _has_readable_end(rule: Rule) -> bool:
    """Return whether quick add accepts the end, unlike `UNTIL=99991231`, which means no end."""
    return rule.until is None or EARLIEST.year <= rule.until.year <= LATEST.year


def _describe_end(rule: Rule) -> str:
    if rule.count is not None:
        return f", {rule.count} time{'s' if rule.count > 1 else ''}"
    if rule.until is None:
        return ""
    return f" until {_name_date(rule.until)}"


def _name_date(day: date) -> str:
    name = f"{day.day} {MONTH_NAMES[day.month - 1]} {day.year}"
    return f"{name} at {day:%H:%M:%S} UTC" if isinstance(day, datetime) else name
