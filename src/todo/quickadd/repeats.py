"""Recurrence in words: `every other friday`, `every last day of the month`, `daily`."""

from dataclasses import dataclass, replace
from typing import Final

from todo.quickadd.clock import DAY_PARTS, DayPart
from todo.quickadd.durations import find_duration
from todo.quickadd.line import Line, Match
from todo.quickadd.month_days import find_month_days, find_months
from todo.quickadd.numbers import find_cardinal, find_ordinal
from todo.quickadd.vocabulary import MONTHS, PLURAL_WEEKDAYS, WEAK_WEEKDAYS, WEEKDAYS
from todo.quickadd.week_days import find_day_set, find_days_without, find_weekdays
from todo.schedule.rule import MAX_INTERVAL, Frequency, Rule, read_rule
from todo.schedule.series import Basis

EVERY: Final = frozenset({"every", "each", "ev"})
_LAST_DAY = Rule(Frequency.MONTHLY, by_month_day=(-1,))
_FIRST_MONTHS, _LAST_MONTHS = (1, 4, 7, 10), (3, 6, 9, 12)
_OF_EVERY = frozenset({*EVERY, "monthly"})
_MAX_QUALIFIERS = 4
_UNITS: Final = {
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
_ADVERBS: Final = {
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
RECURRING: Final = frozenset({*EVERY, *_ADVERBS})
# After `daily`: another word is what is daily, such as a report.
_AFTER_ADVERB = frozenset({
    "after", "at", "beginning", "by", "ending", "for", "from", "in", "on", "remind", "reminder",
    "starting", "till", "until",
})  # fmt: skip
# "the Fridays" are a family or a band.
_BEFORE_NAME = frozenset({"the", "these", "those", "my", "our"})
COMPLETION: Final = (
    "after completion", "from completion", "after completing", "after it is done",
    "after it ' s done", "when done", "when completed", "after done",
)  # fmt: skip
_COMPLETION_STARTS = frozenset(words.split()[0] for words in COMPLETION)
_COMPLETION_WORDS = frozenset(words.split()[-1] for words in COMPLETION)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A recurrence.

    Attributes:
        rule: The rule, without its end.
        basis: What the next due is counted from.
        part: The part of the day, or None.
    """

    rule: Rule
    basis: Basis = "schedule"
    part: DayPart | None = None


def find_repeat(line: Line, at: int) -> Match[Repeat] | None:
    """Find a recurrence that starts at a token."""
    found = _find_any(line, at)
    if found is None or not line.ends(found.end):
        return None
    repeat, end = found
    if repeat.rule.interval > MAX_INTERVAL:
        return None
    try:
        rule = read_rule(str(repeat.rule))
    except ValueError:
        return None
    return Match(replace(repeat, rule=rule), end)


def _find_any(line: Line, at: int) -> Match[Repeat] | None:
    word = line.words[at]
    if word in EVERY:
        is_from_completion = line.glued(at + 1, "!")
        start = at + 1 + is_from_completion
        found = _find_pattern(line, start)
        if found is None:
            return None
        basis: Basis = "completion" if is_from_completion else "schedule"
        return _qualify(line, Match(Repeat(found.value, basis), found.end), start)
    if word in _ADVERBS:
        if line.words[at - 1] in {"a", *_BEFORE_NAME}:
            return None
        adverb = _qualified(line, Match(_ADVERBS[word], at + 1))
        has_days = adverb.value.rule != _ADVERBS[word] or _is_weekday(line, at + 1)
        return adverb if has_days or _is_adverb(line, at + 1) else None
    if word == "recur" and line.glued(at + 1, ":"):
        return _find_taskwarrior(line, at + 2)
    of_every = _find_of_every(line, at) if line.has_any(_OF_EVERY) else None
    if of_every is None and line.has_any(_COMPLETION_WORDS):
        of_every = _find_after_completion(line, at)
    return of_every or _find_plural(line, at)


def _is_weekday(line: Line, at: int) -> bool:
    """Return whether `weekly` has a weekday or a date behind it, which is its first due."""
    word = line.words[at]
    if word in MONTHS:
        return line[at + 1].kind == "n"
    return word in WEEKDAYS and (word not in WEAK_WEEKDAYS or line.is_last(at + 1))


def _is_adverb(line: Line, at: int) -> bool:
    return line[at].kind != "w" or line.words[at] in _AFTER_ADVERB


def _find_taskwarrior(line: Line, at: int) -> Match[Repeat] | None:
    """Find the rest of `recur:weekly` and `recur:2weeks`."""
    if line.words[at] in _ADVERBS:
        return Match(Repeat(_ADVERBS[line.words[at]]), at + 1)
    found = _find_pattern(line, at)
    return None if found is None else Match(Repeat(found.value), found.end)


def _find_of_every(line: Line, at: int) -> Match[Repeat] | None:
    """Find `on the 1st of every month`, `the last friday each month`, `15th monthly`."""
    start = at + (line.words[at] == "on")
    days = _find_end(line, start) or find_month_days(line, start + (line.words[start] == "the"))
    if days is None or days.value.frequency is not Frequency.MONTHLY:
        return None
    end = days.end + (line.words[days.end] == "of")
    if line.words[end] in EVERY:
        found = _find_units(line, end + 1)
    elif line.words[days.end] == "monthly" and (
        days.value.by_day or _is_adverb(line, days.end + 1)
    ):
        found = Match(_ADVERBS["monthly"], days.end + 1)
    else:
        return None
    if found is None or found.value.frequency is not Frequency.MONTHLY:
        return None
    if line.words[found.end - 1] == "quarter":
        is_last = {number < 0 for number in days.value.by_month_day or _places(days.value)}
        if len(is_last) > 1 or found.value.interval > 3:  # noqa: PLR2004 - months
            return None
        months = _LAST_MONTHS if True in is_last else _FIRST_MONTHS
        return _qualified(line, Match(replace(days.value, by_month=months), found.end))
    return _qualified(line, Match(replace(days.value, interval=found.value.interval), found.end))


def _places(rule: Rule) -> tuple[int, ...]:
    return rule.by_set_pos or tuple(place for place, _ in rule.by_day)


def _find_end(line: Line, at: int) -> Match[Rule] | None:
    """Find the `end` of `end of every month`."""
    end = at + (line.words[at] == "at")
    end += line.words[end] == "the"
    is_end = line.words[end] == "end" and line.words[end + 1] == "of"
    return Match(_LAST_DAY, end + 1) if is_end else None


def _find_units(line: Line, at: int) -> Match[Rule] | None:
    """Find `month`, `other month`, `second month`."""
    if line.words[at] == "other":
        found = _find_unit(line, at + 1)
        return found and Match(replace(found.value, interval=2 * found.value.interval), found.end)
    return _find_unit(line, at) or _find_interval(line, at)


def _find_after_completion(line: Line, at: int) -> Match[Repeat] | None:
    """Find `3 days after completion`."""
    found = find_duration(line, at)
    if found is None or found.value.minutes:
        return None
    end = find_completion(line, found.end)
    months, days = found.value.months, found.value.days
    if end < 0 or (months and days):
        return None
    rule = Rule(Frequency.DAILY, days) if days else Rule(Frequency.MONTHLY, months)
    if days and days % 7 == 0:
        rule = Rule(Frequency.WEEKLY, days // 7)
    if months and months % 12 == 0:
        rule = Rule(Frequency.YEARLY, months // 12)
    return Match(Repeat(rule, "completion"), end)


def _find_plural(line: Line, at: int) -> Match[Repeat] | None:
    """Find `on mondays and fridays`, `weekdays at 9`."""
    has_on = line.words[at] == "on"
    start = at + has_on
    word = line.words[start]
    if word not in PLURAL_WEEKDAYS and word not in {"weekdays", "weekends"}:
        return None
    if line.words[at - 1] in _BEFORE_NAME:
        return None
    found = _find_pattern(line, start)
    if found is None or not (has_on or _is_adverb(line, found.end)):
        return None
    return _qualified(line, found)


def find_completion(line: Line, at: int) -> int:
    """Return the token after `after completion`, or -1."""
    if line.words[at] not in _COMPLETION_STARTS:
        return -1
    return max(line.phrase(at, words) for words in COMPLETION)


def _find_pattern(line: Line, at: int) -> Match[Rule] | None:
    """Find what is behind `every`."""
    if line.words[at] == "other":
        return _find_other(line, at + 1)
    for words in ("month end", "month - end"):
        end = line.phrase(at, words)
        if end > 0:
            return Match(_LAST_DAY, end)
    for find in (
        find_days_without,
        find_month_days,
        _find_interval,
        _find_unit,
        find_day_set,
        find_weekdays,
    ):
        found = find(line, at)
        if found is not None:
            return found
    months = find_months(line, at)
    if months is None or line[months.end].kind == "n":
        return None
    return Match(Rule(Frequency.YEARLY, by_month=months.value, by_month_day=(1,)), months.end)


def _find_other(line: Line, at: int) -> Match[Rule] | None:
    """Find the rest of `every other day` and `every other friday`."""
    found = _find_unit(line, at) or find_weekdays(line, at)
    if found is None:
        return None
    return Match(replace(found.value, interval=2 * found.value.interval), found.end)


def _find_interval(line: Line, at: int) -> Match[Rule] | None:
    """Find `3 days`, `second week`, `3rd month`."""
    number = find_ordinal(line, at) or find_cardinal(line, at)
    if number is None or number.value < 1:
        return None
    unit = _find_unit(line, number.end)
    if unit is None:
        return None
    return Match(replace(unit.value, interval=number.value * unit.value.interval), unit.end)


def _find_unit(line: Line, at: int) -> Match[Rule] | None:
    word, end = line.words[at], at + 1
    if word in DAY_PARTS:
        return Match(Rule(Frequency.DAILY), at + 1)
    rule = _UNITS.get(word)
    if rule is None or (len(word) == 1 and line[at].is_spaced):
        return None
    return Match(rule, end)


def _qualified(line: Line, found: Match[Rule]) -> Match[Repeat]:
    return _qualify(line, Match(Repeat(found.value), found.end), found.end)


def _qualify(line: Line, found: Match[Repeat], at: int) -> Match[Repeat]:
    """Find the rest of a recurrence: its days, its months, the part of the day.

    Args:
        line: The text.
        found: The recurrence up to here.
        at: Number of the token at which its pattern starts, such as `morning`.
    """
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
    part = DAY_PARTS.get(line.words[at if start < 0 else start])
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
    if rule == _UNITS["day"] and word in WEEKDAYS:
        weekdays = find_weekdays(line, at)
        return weekdays if weekdays is not None and len(weekdays.value.by_day) > 1 else None
    if rule.frequency is not Frequency.MONTHLY or rule.by_day or rule.by_month_day:
        return None
    days = find_month_days(line, at + (word == "the"))
    if days is None or not _is_days_of_month(line, days):
        return None
    return Match(replace(days.value, interval=rule.interval), days.end)


def _is_days_of_month(line: Line, days: Match[Rule]) -> bool:
    """Return whether these are days of `every month`, not the `1st floor`."""
    is_named = bool(days.value.by_day)
    return days.value.frequency is Frequency.MONTHLY and (is_named or _is_adverb(line, days.end))


def _find_week_start(line: Line, at: int, repeat: Repeat) -> Match[Repeat] | None:
    """Find `with weeks from sunday`, as a rule in words has it."""
    start = line.phrase(at, "with weeks from")
    weekday = WEEKDAYS.get(line.words[start]) if start > 0 else None
    if weekday is None:
        return None
    return Match(replace(repeat, rule=replace(repeat.rule, week_start=weekday)), start + 1)


def _find_on(line: Line, at: int, rule: Rule) -> Match[Rule] | None:
    """Find the days that a bare period has behind `on`."""
    start = at + (line.words[at] == "the")
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
