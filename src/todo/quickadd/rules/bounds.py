"""Recognizer of the start and end of a recurrence, such as `until 5 may` or `5 times`."""

from dataclasses import dataclass
from datetime import UTC, time
from typing import Final

from todo.quickadd.days.any_day import find_named_day
from todo.quickadd.days.model import NamedDay, Reference
from todo.quickadd.days.present import Present
from todo.quickadd.result import Question
from todo.quickadd.rules.repeats import COMPLETION_STARTS, find_completion
from todo.quickadd.rules.unclear_ends import find_unclear_end
from todo.quickadd.times.durations import Duration, find_duration
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.tokens.numbers import find_cardinal
from todo.quickadd.vocabulary import CARDINALS
from todo.schedule.rule import MAX_COUNT

_UNTIL = frozenset({"until", "till", "til", "through", "ending"})
_START = frozenset({"starting", "from", "beginning"})
_TIMES = frozenset({"time", "times", "occurrences"})
STARTS: Final = frozenset({*_UNTIL, *_START, *COMPLETION_STARTS, *CARDINALS, "for"})
_PREPOSITIONS = frozenset({"on", "from", "with"})


@dataclass(frozen=True, slots=True)
class Start:
    """First day of a recurrence, preceded by its weekday if the text names both.

    If `is_due`, it is the due date of a task without a recurrence.
    """

    days: tuple[NamedDay, ...]
    is_due: bool


@dataclass(frozen=True, slots=True)
class Until:
    """Last day of a recurrence, preceded by its weekday if both are named, and a UTC time."""

    days: tuple[NamedDay, ...]
    clock: time | None = None


@dataclass(frozen=True, slots=True)
class Lasting:
    """Duration of a recurrence."""

    length: Duration


@dataclass(frozen=True, slots=True)
class Times:
    """Number of occurrences of a recurrence."""

    count: int


@dataclass(frozen=True, slots=True)
class UnclearEnd:
    """End of a recurrence that is not a day."""

    question: Question


@dataclass(frozen=True, slots=True)
class FromCompletion:
    """Bound that counts the next due date from the completion."""


End = Until | Lasting | Times | UnclearEnd
Bound = Start | End | FromCompletion


def find_bound(line: Line, at: int, present: Present) -> Match[Bound] | None:
    """Find a bound that starts at a token."""
    found = _find_any(line, at, present)
    return found if found is not None and line.ends(found.end) else None


def _find_any(line: Line, at: int, present: Present) -> Match[Bound] | None:
    word = line.words[at]
    if word in _UNTIL or word in _START:
        return _find_border(line, at, present)
    end = find_completion(line, at)
    if end > 0:
        return Match(FromCompletion(), end)
    return _find_length(line, at)


def _find_border(line: Line, at: int, present: Present) -> Match[Bound] | None:
    """Find a start or an end such as `until 5 may`, `until:eoy` or `starting on monday`."""
    start = line.skip_attached(at + 1, ":")
    start = line.skip_any(start, _PREPOSITIONS)
    day = find_named_day(line, start, present)
    if day is None:
        unclear = find_unclear_end(line, at, present) if line.words[at] in _UNTIL else None
        return None if unclear is None else Match(UnclearEnd(unclear.value), unclear.end)
    days: tuple[NamedDay, ...] = (day.value,)
    if day.value.day.reference is Reference.WEEKDAY:
        date = find_named_day(line, line.skip(day.end, ","), present)
        if date is not None and date.value.day.reference is Reference.ABSOLUTE:
            days, day = (day.value, date.value), date
    if line.words[at] in _START:
        is_due = line.words[at] != "from"
        return Match(Start(days, is_due), day.end)
    return _find_instant(line, days, day.end) or Match(Until(days), day.end)


def _find_instant(line: Line, days: tuple[NamedDay, ...], end: int) -> Match[Bound] | None:
    """Find the rest of `until 31 March 2027 at 22:59:59 UTC`, written by `describe_rule`."""
    has_time = line.words[end] == "at" and line.words[end + 2] == line.words[end + 4] == ":"
    if not has_time or line.words[end + 6] != "utc":
        return None
    hour, minute, second = (line.number(each) for each in (end + 1, end + 3, end + 5))
    try:
        clock = time(hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return Match(Until(days[-1:], clock), end + 7)


def _find_length(line: Line, at: int) -> Match[Bound] | None:
    """Find a length such as `5 times` or `for 3 weeks`."""
    has_for = line.words[at] == "for"
    start = at + has_for
    count = find_cardinal(line, start)
    if count is not None and line.words[count.end] in _TIMES and 1 <= count.value <= MAX_COUNT:
        return Match(Times(count.value), count.end + 1)
    length = find_duration(line, start) if has_for else None
    if length is None or length.value.minutes:
        return None
    return Match(Lasting(length.value), length.end)
