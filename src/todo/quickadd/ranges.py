"""Ranges, `monday to friday` and `3pm to 5pm`: a due has one day and one time, so they are text."""

from dataclasses import dataclass

from todo.quickadd.clock import Weight, find_clock
from todo.quickadd.days import find_named_day
from todo.quickadd.line import DASHES, Line, Match
from todo.quickadd.present import Present

_ANY_TO = frozenset({"to", "through", "and", *DASHES})
_TO = frozenset({"to", "through", *DASHES})


@dataclass(frozen=True, slots=True)
class Range:
    """A range of days or times."""


def find_range(line: Line, at: int, present: Present) -> Match[Range] | None:
    """Find a range, with `from` or `between` before it."""
    if not line.has_any(_ANY_TO):
        return None
    word = line.words[at]
    start = at + (word in {"from", "between"})
    to = frozenset({"and"}) if word == "between" else _TO
    end = _find_days(line, start, to, present)
    end = _find_clocks(line, start, to) if end < 0 else end
    return Match(Range(), end) if end > 0 and line.ends(end) else None


def _find_days(line: Line, at: int, to: frozenset[str], present: Present) -> int:
    first = find_named_day(line, at, present)
    if first is None or line.words[first.end] not in to:
        return -1
    last = find_named_day(line, first.end + 1, present)
    return -1 if last is None else last.end


def _find_clocks(line: Line, at: int, to: frozenset[str]) -> int:
    first = find_clock(line, at)
    if first is None or line.words[first.end] not in to:
        return -1
    last = find_clock(line, first.end + 1)
    if last is None or max(first.value.weight, last.value.weight) is Weight.BARE:
        return -1
    return last.end
