"""Recognizers of qualifiers of a recurrence: days, months, part of the day."""

from dataclasses import replace

from todo.quickadd.rules.month_days import find_month_days, find_months
from todo.quickadd.rules.patterns import UNIT_RULES, Repeat, is_adverb
from todo.quickadd.rules.week_days import find_day_set, find_weekdays
from todo.quickadd.times.clock import DAY_PARTS, PLURAL_PARTS
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.vocabulary import WEEKDAYS
from todo.schedule.rule import Frequency, Rule

_MAX_QUALIFIERS = 4
_PARTS_OR_PLURALS = DAY_PARTS | PLURAL_PARTS


def qualified(line: Line, found: Match[Rule]) -> Match[Repeat]:
    """Return the recurrence of a rule, extended by the qualifiers after it."""
    return qualify(line, Match(Repeat(found.value), found.end), found.end)


def qualify(line: Line, found: Match[Repeat], at: int) -> Match[Repeat]:
    """Return a recurrence extended by its qualifiers; `at` is the first token of its pattern."""
    repeat, end = found
    part = DAY_PARTS.get(line.words[at]) if at < end else None
    repeat = replace(repeat, part=part)
    for _ in range(_MAX_QUALIFIERS):
        longer = _find_qualifier(line, end, repeat)
        if longer is None:
            break
        repeat, end = longer
    return Match(repeat, end)


def _find_qualifier(line: Line, at: int, repeat: Repeat) -> Match[Repeat] | None:
    rule, word = repeat.rule, line.words[at]
    start = line.phrase(at, "in the")
    part = _PARTS_OR_PLURALS.get(line.words[at if start < 0 else start])
    if part is not None and repeat.part is None:
        return Match(replace(repeat, part=part), (at if start < 0 else start) + 1)
    if word == "with":
        return _find_week_start(line, at, repeat)
    if word == "on" and not (rule.by_day or rule.by_month_day):
        days = _find_on(line, at + 1, rule)
        return days and Match(replace(repeat, rule=days.value), days.end)
    behind = _find_days_behind(line, at, rule)
    if behind is not None:
        return Match(replace(repeat, rule=behind.value), behind.end)
    if word in {"in", "of"} and not rule.by_month:
        months = find_months(line, at + 1)
        if months is not None:
            return Match(replace(repeat, rule=replace(rule, by_month=months.value)), months.end)
    return None


def _find_days_behind(line: Line, at: int, rule: Rule) -> Match[Rule] | None:
    """Find the days of `every month 5th` and `every day mon-fri`."""
    word = line.words[at]
    if rule == UNIT_RULES["day"] and word in WEEKDAYS:
        weekdays = find_weekdays(line, at)
        return weekdays if weekdays is not None and len(weekdays.value.by_day) > 1 else None
    if rule.frequency is not Frequency.MONTHLY or rule.by_day or rule.by_month_day:
        return None
    days = find_month_days(line, at + (word == "the"))
    if days is None or not _is_days_of_month(line, days):
        return None
    return Match(replace(days.value, interval=rule.interval), days.end)


def _is_days_of_month(line: Line, days: Match[Rule]) -> bool:
    """Return whether these are days of `every month`, unlike in `1st floor`."""
    is_named = bool(days.value.by_day)
    return days.value.frequency is Frequency.MONTHLY and (is_named or is_adverb(line, days.end))


def _find_week_start(line: Line, at: int, repeat: Repeat) -> Match[Repeat] | None:
    """Find `with weeks from sunday`, which `describe_rule` writes."""
    start = line.phrase(at, "with weeks from")
    weekday = WEEKDAYS.get(line.words[start]) if start > 0 else None
    if weekday is None:
        return None
    return Match(replace(repeat, rule=replace(repeat.rule, week_start=weekday)), start + 1)


def _find_on(line: Line, at: int, rule: Rule) -> Match[Rule] | None:
    """Find the days after `on` for a period without days."""
    start = line.skip(at, "the")
    if rule.frequency in {Frequency.WEEKLY, Frequency.DAILY}:
        found = find_weekdays(line, start) or find_day_set(line, start)
    else:
        found = find_month_days(line, start)
    if found is None:
        return None
    days, end = found
    if rule.frequency is Frequency.YEARLY and not days.by_month:
        return None
    months = days.by_month or rule.by_month
    joined = replace(days, frequency=rule.frequency, interval=rule.interval, by_month=months)
    return Match(joined, end)
