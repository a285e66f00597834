"""Recognizer of offsets, such as `in 3 days`, `+15min`, `next hour` or `a week from friday`."""

from datetime import date, datetime
from typing import Final

from todo.quickadd.days.dates import find_date
from todo.quickadd.days.present import Present
from todo.quickadd.days.relative import find_start_day
from todo.quickadd.times.durations import APPROXIMATELY, Duration, find_duration
from todo.quickadd.tokens.line import APOSTROPHES, Line, Match, memoized
from todo.quickadd.vocabulary import CARDINALS

_IN = frozenset({"in", "within", "after"})
_LATER = frozenset({"later", "hence"})
_FROM = frozenset({"from", "after"})
_NEXT = {"hour": Duration(minutes=60), "minute": Duration(minutes=1)}
STARTS: Final = frozenset({
    *_IN, *CARDINALS, *APPROXIMATELY, "+", "a", "an", "half", "next", "now", "quarter",
})  # fmt: skip


@memoized
def find_offset(line: Line, at: int, present: Present) -> Match[date | datetime] | None:
    """Find an offset; return the resulting day, or the instant in the user's zone."""
    if not line.has_number(at) and line.words[at] not in STARTS:
        return None
    found = _find_length(line, at)
    if found is None:
        return _find_from_day(line, at, present)
    due = found.value.after(present)
    return None if due is None else Match(due, found.end)


def _find_length(line: Line, at: int) -> Match[Duration] | None:
    word = line.words[at]
    if word in _IN:
        return _find_within(line, at + 1)
    if word in {"+", "now"}:
        start = at + (word == "now")
        return find_duration(line, start + 1) if line.words[start] == "+" else None
    if word == "next":
        if line.words[at + 1] in _NEXT:
            return Match(_NEXT[line.words[at + 1]], at + 2)
        return find_duration(line, at + 1) if line.has_number(at + 1) else None
    return _find_later(line, at)


def _find_within(line: Line, at: int) -> Match[Duration] | None:
    """Find the duration after `in` and `within`: `3 days`, `the next hour`."""
    is_next = line.phrase(at, "the next") > 0
    found = _find_length(line, at + 1) if is_next else find_duration(line, at)
    if found is None or line.words[found.end] == "of":
        # "in a week of rain" is not an offset.
        return None
    if found.value.minutes and line.words[found.end] in {"before", "after"}:
        # "check in 24 hours before 3pm" does not count from now.
        return None
    return Match(found.value, _skip_time(line, found.end))


def _skip_time(line: Line, at: int) -> int:
    """Return the token after `time` in `in 2 weeks' time` and `in a week's time`."""
    if line.words[at] in APOSTROPHES and line.words[at + 1] == "s":
        return at + 3 if line.words[at + 2] == "time" else at
    end = line.skip_any(at, APOSTROPHES) + 1
    is_time = line.words[end - 1] == "time" and (line.is_last(end) or end > at + 1)
    return end if is_time else at


def _find_later(line: Line, at: int) -> Match[Duration] | None:
    """Find an offset such as `3 days from now`, `an hour later` or `2 weeks hence`."""
    found = find_duration(line, at)
    if found is None:
        return None
    duration, end = found
    if line.words[end] in _LATER:
        return Match(duration, end + 1)
    if line.words[end] in _FROM and line.words[end + 1] in {"now", "today"}:
        return Match(duration, end + 2)
    return None


def _find_from_day(line: Line, at: int, present: Present) -> Match[date | datetime] | None:
    """Find an offset from a day, such as `a week from friday` or `2 days after tomorrow`."""
    found = find_duration(line, at)
    if found is None or found.value.minutes:
        return None
    word, start = line.words[found.end], found.end + 1
    if word not in {"before", *_FROM}:
        return None
    counted = find_start_day(line, start, present) or find_date(line, start, present)
    if counted is None or counted.value.other is not None:
        return None
    count = found.value.before_day if word == "before" else found.value.after_day
    day = count(counted.value.day)
    return None if day is None else Match(day, counted.end)
