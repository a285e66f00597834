"""Recognizers of patterns after `every`, such as `3 days`, `other friday` or `weekday`."""

from dataclasses import dataclass, replace
from typing import Final

from todo.core.domain import RecurrenceFrom
from todo.quickadd.rules.month_days import find_month_days, find_months
from todo.quickadd.rules.week_days import find_day_set, find_days_without, find_weekdays
from todo.quickadd.times.clock import DAY_PARTS, DayPart
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.tokens.numbers import find_cardinal, find_ordinal
from todo.schedule.rule import Frequency, Rule

EVERY: Final = frozenset({"every", "each", "ev"})
LAST_DAY = Rule(Frequency.MONTHLY, by_month_day=(-1,))
UNIT_RULES: Final = {
    "day": Rule(Frequency.DAILY), "days": Rule(Frequency.DAILY), "d": Rule(Frequency.DAILY),
    "week": Rule(Frequency.WEEKLY), "weeks": Rule(Frequency.WEEKLY),
    "wk": Rule(Frequency.WEEKLY), "wks": Rule(Frequency.WEEKLY), "w": Rule(Frequency.WEEKLY),
    "fortnight": Rule(Frequency.WEEKLY, 2), "fortnights": Rule(Frequency.WEEKLY, 2),
    "month": Rule(Frequency.MONTHLY), "months": Rule(Frequency.MONTHLY),
    "mo": Rule(Frequency.MONTHLY),
    "quarter": Rule(Frequency.MONTHLY, 3), "quarters": Rule(Frequency.MONTHLY, 3),
    "year": Rule(Frequency.YEARLY), "years": Rule(Frequency.YEARLY), "y": Rule(Frequency.YEARLY),
    "yr": Rule(Frequency.YEARLY), "yrs": Rule(Frequency.YEARLY),
}  # fmt: skip
ADVERBS: Final = {
    "daily": Rule(Frequency.DAILY),
    "weekly": Rule(Frequency.WEEKLY),
    "biweekly": Rule(Frequency.WEEKLY, 2),
    "fortnightly": Rule(Frequency.WEEKLY, 2),
    "monthly": Rule(Frequency.MONTHLY),
    "bimonthly": Rule(Frequency.MONTHLY, 2),
    "quarterly": Rule(Frequency.MONTHLY, 3),
    "yearly": Rule(Frequency.YEARLY),
    "annually": Rule(Frequency.YEARLY),
}
RECURRING: Final = frozenset({*EVERY, *ADVERBS})
# Words that may follow `daily`, unlike the noun in `daily report`.
_AFTER_ADVERB = frozenset({
    "after", "at", "beginning", "by", "ending", "for", "from", "in", "on", "remind", "reminder",
    "starting", "till", "until",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repeat:
    """Recurrence: a rule without its end, the basis of the next due date, and a part of the day."""

    rule: Rule
    basis: RecurrenceFrom = "schedule"
    part: DayPart | None = None


def is_adverb(line: Line, at: int) -> bool:
    """Return whether the `daily` before a token is an adverb, not an adjective before a noun."""
    return not line.has_word(at) or line.words[at] in _AFTER_ADVERB


def find_pattern(line: Line, at: int) -> Match[Rule] | None:
    """Find the pattern after `every`."""
    if line.words[at] == "other":
        return _find_other(line, at + 1)
    for words in ("month end", "month - end"):
        end = line.phrase(at, words)
        if end > 0:
            return Match(LAST_DAY, end)
    for find in (
        find_days_without,
        find_month_days,
        find_interval,
        find_unit,
        find_day_set,
        find_weekdays,
    ):
        found = find(line, at)
        if found is not None:
            return found
    months = find_months(line, at)
    if months is None or line.has_number(months.end):
        return None
    return Match(Rule(Frequency.YEARLY, by_month=months.value, by_month_day=(1,)), months.end)


def _find_other(line: Line, at: int) -> Match[Rule] | None:
    """Find the rest of a phrase such as `every other day` or `every other friday`."""
    found = find_unit(line, at) or find_weekdays(line, at)
    if found is None:
        return None
    return Match(replace(found.value, interval=2 * found.value.interval), found.end)


def find_interval(line: Line, at: int) -> Match[Rule] | None:
    """Find an interval such as `3 days`, `second week` or `3rd month`."""
    number = find_ordinal(line, at) or find_cardinal(line, at)
    if number is None or number.value < 1:
        return None
    unit = find_unit(line, number.end)
    if unit is None:
        return None
    return Match(replace(unit.value, interval=number.value * unit.value.interval), unit.end)


def find_unit(line: Line, at: int) -> Match[Rule] | None:
    """Find a unit such as `day`, `weeks`, `fortnight` or `morning`."""
    word, end = line.words[at], at + 1
    if word in DAY_PARTS:
        return Match(Rule(Frequency.DAILY), at + 1)
    rule = UNIT_RULES.get(word)
    if rule is None or (len(word) == 1 and line[at].is_spaced):
        return None
    return Match(rule, end)
