"""Recognizer of ranges, `monday to friday` and `3pm to 5pm`, which cannot be a due date."""

from dataclasses import dataclass
from typing import Final

from todo.quickadd.days import any_day
from todo.quickadd.days.any_day import find_named_day
from todo.quickadd.days.dates import find_any_date
from todo.quickadd.days.model import NamedDay, Reference
from todo.quickadd.days.present import Present
from todo.quickadd.times import clock
from todo.quickadd.times.clock import Confidence, find_clock
from todo.quickadd.tokens.line import DASHES, Line, Match
from todo.quickadd.vocabulary import MONTHS

_ANY_TO = frozenset({"until", "till", "to", "through", "and", *DASHES})
_TO = frozenset({"to", "through", *DASHES})
STARTS: Final = frozenset({*any_day.STARTS, *clock.STARTS, "between", "from"})
_UNTIL = frozenset({"until", "till"})
_AND = frozenset({"and"})


@dataclass(frozen=True, slots=True)
class Range:
    """Range of days or times, with its first and last day if named."""

    days: tuple[NamedDay, ...] = ()


def find_range(line: Line, at: int, present: Present) -> Match[Range] | None:
    """Find a range, including a `from` or `between` before it."""
    if not line.has_any(_ANY_TO):
        return None
    word = line.words[at]
    start = at + (word in {"from", "between"})
    to = _AND if word == "between" else _TO
    found = _find_days(line, start, to, present)
    if found is None:
        end = _find_clocks(line, start, to | _UNTIL)
        found = Match(Range(), end) if end > 0 else None
    return found if found is not None and line.ends(found.end) else None


def _find_days(line: Line, at: int, to: frozenset[str], present: Present) -> Match[Range] | None:
    """Find a range of days such as `monday to friday`, `5 june - 9 june` or `1 to 5 february`."""
    first = _find_first_day(line, at, to, present)
    if first is None:
        return None
    last = find_named_day(line, first.end + 1, present)
    if last is None:
        return _find_last_number(line, first)
    if first.value is not None:
        return Match(Range((first.value, last.value)), last.end)
    is_date = line.has_number(first.end + 1) and last.value.day.reference is Reference.ABSOLUTE
    return Match(Range(), last.end) if is_date else None


def _find_last_number(line: Line, first: Match[NamedDay | None]) -> Match[Range] | None:
    """Find the rest of a phrase such as `dec 24 to 28`."""
    at, named = first.end + 1, first.value
    is_date = (
        named is not None
        and named.day.reference is Reference.ABSOLUTE
        and line.has_number(first.end - 1)
    )
    is_number = 1 <= line.digits(at) <= 2 and line.words[at + 1] not in {":", "am", "pm"}  # noqa: PLR2004
    return Match(Range((named,)), at + 1) if named and is_date and is_number else None


def _find_first_day(
    line: Line, at: int, to: frozenset[str], present: Present
) -> Match[NamedDay | None] | None:
    """Find the first day of a range, or None for a bare number."""
    named = find_named_day(line, at, present)
    if named is not None and line.words[named.end] in to:
        return Match(named.value, named.end)
    if not line.has_number(at) and line.words[at] not in MONTHS:
        return None
    day = find_any_date(line, at, present)
    if day is not None and line.words[day.end] in to:
        return Match(NamedDay(day.value, at, day.end), day.end)
    is_number = 1 <= line.digits(at) <= 2 and line.words[at + 1] in to  # noqa: PLR2004
    return Match(None, at + 1) if is_number else None


def _find_clocks(line: Line, at: int, to: frozenset[str]) -> int:
    first = find_clock(line, at)
    if first is None or line.words[first.end] not in to:
        return -1
    last = find_clock(line, first.end + 1)
    if last is None or max(first.value.confidence, last.value.confidence) is Confidence.NEVER_ALONE:
        return -1
    return last.end
