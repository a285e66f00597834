"""Recognizers of days relative to today, such as `tomorrow`, `next friday` or `this weekend`."""

from datetime import date, timedelta
from typing import Final

from todo.quickadd.days import periods
from todo.quickadd.days.model import Day, Reference
from todo.quickadd.days.periods import find_period_day
from todo.quickadd.days.present import Present, make_date
from todo.quickadd.times.clock import DAY_PARTS, Confidence, DayPart, find_clock
from todo.quickadd.times.durations import find_duration
from todo.quickadd.tokens.line import CONTENT, DASHES, Line, Match, memoized
from todo.quickadd.tokens.numbers import find_ordinal
from todo.quickadd.vocabulary import (
    BEFORE_ANOTHER_DAY,
    DISTANT_DAYS,
    JOINING,
    WEAK_WEEKDAYS,
    WEEKDAYS,
)

_SATURDAY = 5
_NIGHTS = frozenset({"tonight", "tonite", "tongiht", "tonght"})
_PHRASES = (("the day after tomorrow", 2), ("day after tomorrow", 2), ("later today", 0))
_WEEK_WORDS = frozenset({"week", "wk"})
_BEFORE_A_NOUN = frozenset({
    "a", "an", "the", "this", "that", "my", "his", "her", "our", "their", "its", "of", "in",
    "to", "from", "with", "under", "i", "he", "she", "it", "we", "they", "who", "and", "for",
})  # fmt: skip
"""Words after which a short weekday is a noun or a verb: `the sun`, `he sat`."""
_BETWEEN = frozenset({*JOINING, ","})
_TO = frozenset({*DASHES, "to"})
_AFTER_DAY = frozenset({
    *DAY_PARTS, "about", "and", "at", "by", "due", "each", "every", "for", "from", "in", "next",
    "on", "or", "re", "remind", "this", "to", "until", "with",
})  # fmt: skip
STARTS: Final = frozenset({
    *DISTANT_DAYS, *WEEKDAYS, *periods.STARTS, "coming", "day", "later", "next", "this", "upcoming",
})  # fmt: skip


@memoized
def find_relative_day(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a day relative to today."""
    if line.words[at] not in STARTS:
        return None
    for find in (_find_name, _find_weekday, _find_next, find_period_day, _find_this):
        found = find(line, at, present)
        if found is not None:
            return found
    return None


def find_start_day(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a day from which another can be counted, such as `tomorrow` or `friday`."""
    return _find_name(line, at, present) or _find_weekday(line, at, present)


def _find_name(line: Line, at: int, present: Present) -> Match[Day] | None:
    word = line.words[at]
    if word in DISTANT_DAYS:
        part = DayPart.NIGHT if word in _NIGHTS else None
        day = present.today + timedelta(days=DISTANT_DAYS[word])
        return Match(Day(day, Reference.RELATIVE, part=part), at + 1)
    for words, days in _PHRASES:
        end = line.phrase(at, words)
        if end > 0:
            return Match(Day(present.today + timedelta(days=days), Reference.RELATIVE), end)
    return None


@memoized
def _find_weekday(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a weekday such as `friday`, `this friday`, `next friday` or `friday next week`."""
    word = line.words[at]
    qualifier = word if word in {"this", "next", "coming", "upcoming"} else ""
    start = at + bool(qualifier)
    start += qualifier in {"this", "next"} and line.words[start] in {"coming", "upcoming"}
    name = line.words[start]
    if name not in WEEKDAYS or line.words[at - 1] in BEFORE_ANOTHER_DAY:
        return None
    weekday, end = WEEKDAYS[name], start + 1
    end += line.is_attached(end, ".") and len(name) < 6  # noqa: PLR2004 - a short name
    if qualifier:
        if qualifier == "next":
            day = present.week(1) + timedelta(days=weekday)
        else:
            day = present.weekday_after(weekday, today_counts=qualifier == "this")
        return Match(Day(day, Reference.RELATIVE), end)
    weeks = _find_week(line, end)
    if weeks is not None:
        day = present.week(weeks.value) + timedelta(days=weekday)
        return Match(Day(day, Reference.RELATIVE), weeks.end)
    is_before_noun = line.has_word(end) and line.words[end] not in _AFTER_DAY
    if line.words[at - 1] == "the" and is_before_noun:
        # "the Sunday Times" has no day, but "the friday at noon" does.
        return None
    is_weak = name in WEAK_WEEKDAYS
    confidence = Confidence.AT_END if is_weak else Confidence.ANYWHERE
    if is_weak and _is_joined(line, at, end):
        confidence = Confidence.ANYWHERE
    elif is_weak and line.words[at - 1] in _BEFORE_A_NOUN:
        confidence = Confidence.WHOLE_TEXT
    elif is_weak and _is_before_clock(line, end):
        confidence = Confidence.ANYWHERE
    elif is_weak and line.is_attached(end, ":") and line[end + 1].is_spaced:
        # A label, as in "mon: gym".
        confidence = Confidence.AT_EDGE
    return Match(Day(present.weekday_after(weekday), Reference.WEEKDAY, confidence), end)


def _is_joined(line: Line, at: int, end: int) -> bool:
    """Return whether a neighboring weekday confirms a short one, as in `sat or sun`."""
    if line.words[end] in WEEKDAYS and line.words[at - 1] not in _BEFORE_A_NOUN:
        return True
    if line.words[at - 1] in WEEKDAYS and line.words[at - 2] not in _BEFORE_A_NOUN:
        return True
    if line.words[end] in _BETWEEN and line.words[end + 1] in WEEKDAYS:
        return True
    return line.words[at - 1] in _BETWEEN and line.words[at - 2] in WEEKDAYS


def _is_before_clock(line: Line, at: int) -> bool:
    """Return whether a time or a range of times confirms a short weekday, as in `sat 8-11pm`."""
    clock = find_clock(line, at)
    if (
        clock is not None
        and clock.value.confidence is Confidence.NEVER_ALONE
        and line.words[clock.end] in _TO
    ):
        clock = find_clock(line, clock.end + 1)
    return clock is not None and clock.value.confidence is Confidence.ANYWHERE


def _find_week(line: Line, at: int) -> Match[int] | None:
    """Find the week after a weekday, such as `next week`, `of next week` or `in 2 weeks`."""
    at = line.skip(at, ",", "of")
    if line.words[at] == "next" and line.words[at + 1] in _WEEK_WORDS:
        return Match(1, at + 2)
    if line.words[at] == "this" and line.words[at + 1] in _WEEK_WORDS:
        return Match(0, at + 2)
    if line.words[at] != "in":
        return None
    found = find_duration(line, at + 1)
    if found is None or line.words[found.end - 1] not in {"week", "weeks"}:
        return None
    days = found.value.total_minutes or 0
    return Match(days // (7 * 1440), found.end) if days <= 520 * 7 * 1440 else None


def _find_next(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a period such as `next week`, `next week friday`, `next month` or `next year`."""
    if line.words[at] != "next":
        return None
    unit, end = line.words[at + 1], at + 2
    if unit in _WEEK_WORDS:
        after = line.skip(end, "on")
        weekday = WEEKDAYS.get(line.words[after])
        if weekday is not None:
            monday = present.week(1)
            return Match(Day(monday + timedelta(days=weekday), Reference.RELATIVE), after + 1)
        return Match(Day(present.week(1), Reference.RELATIVE), end)
    if unit == "month":
        return _find_next_month(line, end, present)
    days: dict[str, date | None] = {
        "year": make_date(present.today.year + 1, 1, 1),
        "weekend": present.week(1) + timedelta(days=_SATURDAY),
        "day": present.today + timedelta(days=1),
    }
    day = days.get(unit)
    return None if day is None else Match(Day(day, Reference.RELATIVE), end)


def _find_next_month(line: Line, at: int, present: Present) -> Match[Day]:
    """Find the rest of a phrase such as `next month` or `next month on the 15th`."""
    first = present.month(1)
    start = line.skip(at, "on")
    start = line.skip(start, "the")
    ordinal = find_ordinal(line, start) if line.has_number(start) else None
    is_bare = ordinal is None and start == at and 1 <= line.digits(at) <= 2  # noqa: PLR2004
    number, end = (line.number(at), at + 1) if is_bare else ordinal or (0, at)
    day = make_date(first.year, first.month, number)
    if day is None or not line.ends(end) or (is_bare and line[end].kind in CONTENT):
        return Match(Day(first, Reference.RELATIVE), at)
    # The number may belong to a noun, as in "next month 1st draft".
    is_doubtful = is_bare or (start == at and line.has_word(end))
    return Match(Day(day, Reference.RELATIVE, other=first if is_doubtful else None), end)


def _find_this(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a period such as `this weekend` or `this evening`."""
    if line.words[at] != "this":
        return None
    word = line.words[at + 1]
    if word in DAY_PARTS:
        return Match(Day(present.today, Reference.RELATIVE, part=DAY_PARTS[word]), at + 2)
    if word != "weekend":
        return None
    day = present.week(0) + timedelta(days=_SATURDAY)
    return Match(Day(max(day, present.today), Reference.RELATIVE), at + 2)
