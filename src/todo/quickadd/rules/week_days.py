"""Recognizers of weekdays in a rule, such as `mon, wed and fri` or `day except sunday`."""

from typing import Final

from todo.quickadd.rules.month_days import WORKDAY_STARTS, WORKDAYS, find_workday
from todo.quickadd.tokens.line import DASHES, Line, Match
from todo.quickadd.vocabulary import PLURAL_WEEKDAYS, WEEKDAYS
from todo.schedule.rule import Frequency, Rule

_WEEK = tuple((0, weekday) for weekday in range(7))
_WEEKEND = ((0, 5), (0, 6))
_MAX_WEEKDAYS = 7
# Abbreviations in timetables of American schools.
_TIMETABLE_DAYS: Final = {
    **dict.fromkeys(("mwf", "m w f", "m / w / f"), ((0, 0), (0, 2), (0, 4))),
    **dict.fromkeys(
        ("tth", "tuth", "t th", "tu th", "t / th", "tu / th"), ((0, 1), (0, 3))
    ),
}  # fmt: skip
_TIMETABLE_STARTS = frozenset(words.split()[0] for words in _TIMETABLE_DAYS)
_DAY_SETS: Final = {
    "weekday": WORKDAYS, "workday": WORKDAYS, "weekend": _WEEKEND, "weekends": _WEEKEND,
}  # fmt: skip
STARTS: Final = frozenset(
    {*WEEKDAYS, *PLURAL_WEEKDAYS, *_DAY_SETS, *WORKDAY_STARTS, *_TIMETABLE_STARTS}
)


def find_day_set(line: Line, at: int) -> Match[Rule] | None:
    """Find `weekday`, `weekend` or a synonym."""
    days, end = _DAY_SETS.get(line.words[at]), at + 1
    if days is None:
        end = find_workday(line, at)
        days = WORKDAYS if end > 0 else None
    if days is None:
        return find_timetable(line, at)
    return Match(Rule(Frequency.WEEKLY, by_day=days), end)


def find_timetable(line: Line, at: int) -> Match[Rule] | None:
    """Find an abbreviation such as `mwf` or `t/th`."""
    if line.words[at] not in _TIMETABLE_STARTS:
        return None
    for words, days in _TIMETABLE_DAYS.items():
        end = line.phrase(at, words)
        if end > 0:
            return Match(Rule(Frequency.WEEKLY, by_day=days), end)
    return None


def find_days_without(line: Line, at: int) -> Match[Rule] | None:
    """Find days with an exception, such as `day except sunday` or `weekday except on fridays`."""
    days = _WEEK if line.words[at] == "day" else _DAY_SETS.get(line.words[at])
    if days is None or line.words[at + 1] not in {"but", "except"}:
        return None
    start = line.skip(at + 2, "on", "for")
    without = find_weekdays(line, start) or find_day_set(line, start)
    if without is None:
        return None
    left = tuple(day for day in days if day not in without.value.by_day)
    return Match(Rule(Frequency.WEEKLY, by_day=left), without.end) if left else None


def find_weekdays(line: Line, at: int) -> Match[Rule] | None:
    """Find weekdays such as `mon, wed and fri`, `mon wed fri`, `monday to friday` or `tue/thu`."""
    first = _weekday(line, at)
    if first is None:
        return None
    days, end = {first}, at + 1
    last = _weekday(line, end + 1) if line.words[end] in {*DASHES, "to", "through"} else None
    if last is not None:
        days = {(first + step) % 7 for step in range((last - first) % 7 + 1)}
        end += 2
    for _ in range(_MAX_WEEKDAYS):
        start = line.skip(end, ",", "/", "&")
        start = line.skip(start, "and", "&")
        another = _weekday(line, start)
        if another is None:
            break
        days.add(another)
        end = start + 1
    by_day = tuple((0, weekday) for weekday in sorted(days))
    return Match(Rule(Frequency.WEEKLY, by_day=by_day), end)


def _weekday(line: Line, at: int) -> int | None:
    word = line.words[at]
    return WEEKDAYS.get(word, PLURAL_WEEKDAYS.get(word))
