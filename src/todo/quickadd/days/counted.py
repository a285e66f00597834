"""Recognizers of days counted from another day, such as `a week on friday` or `friday week`."""

from typing import Final

from todo.quickadd.days import relative
from todo.quickadd.days.dates import find_date
from todo.quickadd.days.model import Day, Reference
from todo.quickadd.days.present import Present
from todo.quickadd.days.relative import find_start_day
from todo.quickadd.times.clock import DAY_PARTS, Confidence, find_clock
from todo.quickadd.times.durations import Duration, find_duration
from todo.quickadd.tokens.line import Line, Match, TokenKind
from todo.quickadd.vocabulary import CARDINALS, UNITS

_WEEK = 7
_NOUNS = frozenset({"day", *DAY_PARTS})
_DIRECTIONS = {"before": -1, "after": 1}
_BEFORE_LENGTH = frozenset({
    "coming", "every", "each", "first", "following", "for", "in", "last", "next", "of", "over",
    "past", "previous", "the", "these", "those", "within",
})  # fmt: skip
"""Words before a duration that is not counted from today, as in `the last 2 weeks`."""
_AFTER_WEEK = frozenset({"about", "at", "by", "for", "in", "re", "to", "with"})
"""Words that may follow `friday week`, unlike the noun in `friday week planning`."""
_LENGTHS = frozenset({*UNITS, *DAY_PARTS, "fortnight", "fortnights", "nights", "weekend"})
_AMOUNTS = frozenset({*CARDINALS, "a"})
STARTS: Final = frozenset({*relative.STARTS, *_AMOUNTS, *_NOUNS, "the"})
_WEEKS = frozenset({"week"})
_COUNTING = frozenset({"before", "after"})


def find_counted_day(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a day that is counted from another day."""
    word = line.words[at]
    if line.has_number(at) or word in _AMOUNTS:
        return _find_week_from(line, at, present)
    if line.has_any(_COUNTING) and (word == "the" or word in _NOUNS):
        return _find_next_to(line, at, present)
    return _find_week_behind(line, at, present) if line.has_any(_WEEKS) else None


def is_counted_from(line: Line, at: int) -> bool:
    """Return whether a token follows a duration, as in `10 working days before`."""
    return line.words[at - 1] in _COUNTING and line.words[at - 2] in _LENGTHS


def _find_week_from(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a counted day such as `a week today`, `a fortnight tomorrow` or `2 weeks on friday`."""
    if line.words[at - 1] in _BEFORE_LENGTH:
        return None
    length = find_duration(line, at)
    if length is None or length.value.minutes or length.value.days % _WEEK:
        return None
    has_on = line.words[length.end] == "on"
    start = find_start_day(line, length.end + has_on, present)
    if start is None or start.value.part is not None:
        return None
    if start.value.reference is Reference.WEEKDAY:
        is_sure = start.value.confidence is Confidence.ANYWHERE or has_on or line.is_last(start.end)
        is_counted = is_sure and not length.value.months
    else:
        is_counted = start.end == length.end + 1
    return _count_weeks(start, length.value, present) if is_counted else None


def _find_week_behind(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a counted day such as `friday week` or `tomorrow week`."""
    start = find_start_day(line, at, present)
    if start is None or start.value.part is not None or line.words[start.end] != "week":
        return None
    end = start.end + 1
    after = line[end]
    if after.kind is TokenKind.WORD and after.text not in _AFTER_WEEK:
        return None
    clock = find_clock(line, end) if after.kind is TokenKind.NUMBER else None
    if after.kind is TokenKind.NUMBER and (
        clock is None or clock.value.confidence is Confidence.NEVER_ALONE
    ):
        return None
    return _count_weeks(Match(start.value, end), Duration(days=_WEEK), present)


def _find_next_to(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a counted day such as `the day before friday` or `the night before 5 june`."""
    noun = line.skip(at, "the")
    direction = _DIRECTIONS.get(line.words[noun + 1])
    if line.words[noun] not in _NOUNS or direction is None:
        return None
    day = find_start_day(line, noun + 2, present) or find_date(line, noun + 2, present)
    if day is None or day.value.other is not None:
        return None
    counted = _count(day, Duration(days=1), direction)
    if counted is None:
        return None
    return Match(counted.value._replace(part=DAY_PARTS.get(line.words[noun])), counted.end)


def _count_weeks(start: Match[Day], length: Duration, present: Present) -> Match[Day] | None:
    """Return the day after a duration; on a Friday, `friday week` may start today."""
    counted = _count(start, length, 1)
    is_today = start.value.day.weekday() == present.today.weekday()
    if counted is None or start.value.reference is not Reference.WEEKDAY or not is_today:
        return counted
    sooner = length.after_day(present.today)
    if sooner is None:
        return counted
    day = Day(sooner, other=counted.value.day)
    return Match(day, counted.end)


def _count(start: Match[Day], length: Duration, direction: int) -> Match[Day] | None:
    count = length.after_day if direction > 0 else length.before_day
    day = count(start.value.day)
    return None if day is None else Match(Day(day, Reference.RELATIVE), start.end)
