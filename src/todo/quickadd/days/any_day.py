"""Recognizers of all kinds of days: relative days, dates, counted days and offsets."""

from datetime import datetime
from typing import Final

from todo.quickadd.days import counted, dates, offsets, relative
from todo.quickadd.days.counted import find_counted_day
from todo.quickadd.days.dates import find_date
from todo.quickadd.days.model import Day, NamedDay, Reference
from todo.quickadd.days.offsets import find_offset
from todo.quickadd.days.present import Present
from todo.quickadd.days.relative import find_relative_day
from todo.quickadd.tokens.line import Line, Match, memoized

STARTS: Final = frozenset({
    *relative.STARTS, *dates.STARTS, *counted.STARTS, *offsets.STARTS,
})  # fmt: skip


@memoized
def find_day(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a relative day, a date or a counted day; the longest match wins."""
    best: Match[Day] | None = None
    for find in (find_relative_day, find_date, find_counted_day):
        found = find(line, at, present)
        if found is not None and (best is None or found.end > best.end):
            best = found
    return best


@memoized
def find_named_day(line: Line, at: int, present: Present) -> Match[NamedDay] | None:
    """Find a day or an offset after a word such as `until`, whatever its confidence."""
    found = find_day(line, at, present)
    offset = find_offset(line, at, present)
    is_longer = offset is not None and (found is None or offset.end > found.end)
    if offset is not None and is_longer and not isinstance(offset.value, datetime):
        found = Match(Day(offset.value, Reference.RELATIVE), offset.end)
    return None if found is None else Match(NamedDay(found.value, at, found.end), found.end)
