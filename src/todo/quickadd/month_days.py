"""Days of a month or a year in a rule: `1st and 15th`, `last friday`, `march 15`."""

from dataclasses import replace

from todo.quickadd.line import Line, Match
from todo.quickadd.numbers import find_ordinal
from todo.quickadd.present import days_of_month
from todo.quickadd.vocabulary import MONTHS, WEEKDAYS
from todo.schedule.rule import Frequency, Rule

_WEEKS_OF_A_MONTH = 5
_DAYS_OF_A_MONTH = 31
_MAX_DAYS = 31
_LEAP_YEAR = 2000
_WORKDAYS = tuple((0, weekday) for weekday in range(5))
_WORKDAY_NAMES = (
    "weekday", "workday", "work day", "working day", "business day",
)  # fmt: skip


def find_month_days(line: Line, at: int) -> Match[Rule] | None:
    """Find days of a month; with a month's name the rule is yearly."""
    for find in (_find_in_year, _find_nth, _find_numbers):
        found = find(line, at)
        if found is not None:
            return found
    return None


def find_months(line: Line, at: int) -> Match[tuple[int, ...]] | None:
    """Find `january`, `jan and jul`, `march, june and september`."""
    months: set[int] = set()
    end = at
    while line.word(at) in MONTHS:
        months.add(MONTHS[line.word(at)])
        end = at + 1
        at = end + (line.word(end) in {",", "/"})
        at += line.word(at) == "and"
        if at == end:
            break
    return Match(tuple(sorted(months)), end) if months else None


def _find_in_year(line: Line, at: int) -> Match[Rule] | None:
    """Find `march 15`, `15 march`, `15th of march`."""
    month = MONTHS.get(line.word(at))
    if month is not None:
        start = at + 1 + (line.word(at + 1) == "the")
        day = _find_number(line, start)
        if day is None or line.word(day.end) in {":", "am", "pm", "h"}:
            return None
    else:
        day = _find_number(line, at)
        if day is None:
            return None
        start = day.end + (line.word(day.end) == "of")
        month = MONTHS.get(line.word(start))
        if month is None:
            return None
        day = Match(day.value, start + 1)
    if not 1 <= day.value <= days_of_month(_LEAP_YEAR, month):
        return None
    return Match(Rule(Frequency.YEARLY, by_month=(month,), by_month_day=(day.value,)), day.end)


def _find_number(line: Line, at: int) -> Match[int] | None:
    ordinal = find_ordinal(line, at)
    if ordinal is not None:
        return ordinal
    return Match(line.number(at), at + 1) if line[at].kind == "n" else None


def _find_nth(line: Line, at: int) -> Match[Rule] | None:
    """Find `last day of the month`, `first monday`, `3rd wed`, `last weekday`."""
    nth = _find_place(line, at)
    if nth is None:
        return None
    place, start = nth
    weekday = WEEKDAYS.get(line.word(start))
    if weekday is not None and abs(place) <= _WEEKS_OF_A_MONTH:
        rule = Rule(Frequency.MONTHLY, by_day=((place, weekday),))
        return _find_of(line, Match(rule, start + 1))
    for name in _WORKDAY_NAMES:
        end = line.phrase(start, name)
        if end > 0:
            rule = Rule(Frequency.MONTHLY, by_day=_WORKDAYS, by_set_pos=(place,))
            return _find_of(line, Match(rule, end))
    if line.word(start) != "day" or abs(place) > _DAYS_OF_A_MONTH:
        return None
    found = _find_of(line, Match(Rule(Frequency.MONTHLY, by_month_day=(place,)), start + 1))
    # "every second day" is every two days.
    return found if place < 0 or found.end > start + 1 else None


def _find_place(line: Line, at: int) -> Match[int] | None:
    """Find `first`, `3rd`, `last`, `2nd to last`, `second last`."""
    if line.word(at) == "last":
        return Match(-1, at + 1)
    ordinal = find_ordinal(line, at)
    if ordinal is None or ordinal.value < 1:
        return None
    for words in ("to last", "- to - last", "last"):
        end = line.phrase(ordinal.end, words)
        if end > 0:
            return Match(-ordinal.value, end)
    return ordinal


def _find_of(line: Line, found: Match[Rule]) -> Match[Rule]:
    """Find the month behind a day: `of the month`, `of march`."""
    rule, end = found
    for words in ("of the month", "of month", "in the month"):
        after = line.phrase(end, words)
        if after > 0:
            return Match(rule, after)
    months = find_months(line, end + 1) if line.word(end) in {"of", "in"} else None
    if months is None:
        return found
    return Match(replace(rule, frequency=Frequency.YEARLY, by_month=months.value), months.end)


def _find_numbers(line: Line, at: int) -> Match[Rule] | None:
    """Find `15th`, `1st and 15th`, `1st, 10th and 20th of the month`."""
    days: set[int] = set()
    end = at
    for _ in range(_MAX_DAYS):
        day = find_ordinal(line, at)
        if day is None or line[at].kind != "n" or not 1 <= day.value <= _DAYS_OF_A_MONTH:
            break
        days.add(day.value)
        end = day.end
        at = end + (line.word(end) in {",", "/", "&"})
        at += line.word(at) == "and"
        at += line.word(at) == "the"
        if at == end:
            break
    if not days:
        return None
    rule = Rule(Frequency.MONTHLY, by_month_day=tuple(sorted(days)))
    found = _find_of(line, Match(rule, end))
    # "every 2nd week" is every two weeks.
    is_unit = len(days) == 1 and line.word(found.end) in {"day", "week", "month", "year", "quarter"}
    return None if is_unit else found
