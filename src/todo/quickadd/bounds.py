"""Start and end of a recurrence: `until 5 may`, `for 3 weeks`, `5 times`, `starting monday`."""

from datetime import UTC, time
from typing import Final, NamedTuple

from todo.quickadd.day import NamedDay, Way
from todo.quickadd.days import find_named_day
from todo.quickadd.durations import Duration, find_duration
from todo.quickadd.line import Line, Match
from todo.quickadd.numbers import find_cardinal
from todo.quickadd.present import Present
from todo.quickadd.repeats import COMPLETION_STARTS, find_completion
from todo.quickadd.result import Question
from todo.quickadd.unclear_ends import find_unclear_end
from todo.quickadd.vocabulary import CARDINALS
from todo.schedule.rule import MAX_COUNT

_UNTIL = frozenset({"until", "till", "til", "through", "ending"})
_START = frozenset({"starting", "from", "beginning"})
_TIMES = frozenset({"time", "times", "occurrences"})
STARTS: Final = frozenset({*_UNTIL, *_START, *COMPLETION_STARTS, *CARDINALS, "for"})
_PREPOSITIONS = frozenset({"on", "from", "with"})


class Bound(NamedTuple):
    """One bound of a recurrence; one attribute is set, apart from `clock`, `check` and `is_due`.

    Attributes:
        until: Its last day.
        clock: The time in UTC of the last instant on that day, or None.
        lasting: How long it lasts.
        times: How often it occurs.
        start: The day from which it starts.
        is_due: Without a recurrence the start is the due.
        from_completion: The next due is counted from completion.
        question: What must be clear about its end, or None.
        check: The weekday that is named before its day, or None.
    """

    until: NamedDay | None = None
    clock: time | None = None
    lasting: Duration | None = None
    times: int = 0
    start: NamedDay | None = None
    is_due: bool = False
    from_completion: bool = False
    question: Question | None = None
    check: NamedDay | None = None

    @property
    def days(self) -> list[NamedDay]:
        """The day that it names, behind its weekday."""
        return [day for day in (self.check, self.until, self.start) if day is not None]

    @property
    def kind(self) -> str:
        """Which bound it is; a recurrence has one of each kind."""
        if self.start is not None:
            return "start"
        return "basis" if self.from_completion else "end"


def find_bound(line: Line, at: int, present: Present) -> Match[Bound] | None:
    """Find a bound that starts at a token; without a recurrence it is only text."""
    found = _find_any(line, at, present)
    return found if found is not None and line.ends(found.end) else None


def _find_any(line: Line, at: int, present: Present) -> Match[Bound] | None:
    word = line.words[at]
    if word in _UNTIL or word in _START:
        return _find_border(line, at, present)
    end = find_completion(line, at)
    if end > 0:
        return Match(Bound(from_completion=True), end)
    return _find_length(line, at)


def _find_border(line: Line, at: int, present: Present) -> Match[Bound] | None:
    """Find `until 5 may`, `until:eoy`, `starting on monday`."""
    start = at + 1 + line.glued(at + 1, ":")
    start += line.words[start] in _PREPOSITIONS
    day = find_named_day(line, start, present)
    if day is None:
        unclear = find_unclear_end(line, at, present) if line.words[at] in _UNTIL else None
        return unclear and Match(Bound(question=unclear.value), unclear.end)
    check = None
    if day.value.day.way is Way.WEEKDAY:
        date = find_named_day(line, day.end + (line.words[day.end] == ","), present)
        if date is not None and date.value.day.way is Way.DATE:
            check, day = day.value, date
    if line.words[at] in _START:
        is_due = line.words[at] != "from"
        return Match(Bound(start=day.value, is_due=is_due, check=check), day.end)
    return _find_instant(line, day) or Match(Bound(until=day.value, check=check), day.end)


def _find_instant(line: Line, day: Match[NamedDay]) -> Match[Bound] | None:
    """Find the rest of `until 31 March 2027 at 22:59:59 UTC`, as a rule in words has it."""
    end = day.end
    has_time = line.words[end] == "at" and line.words[end + 2] == line.words[end + 4] == ":"
    if not has_time or line.words[end + 6] != "utc":
        return None
    hour, minute, second = (line.number(each) for each in (end + 1, end + 3, end + 5))
    try:
        clock = time(hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return Match(Bound(until=day.value, clock=clock), end + 7)


def _find_length(line: Line, at: int) -> Match[Bound] | None:
    """Find `5 times`, `for 3 weeks`."""
    has_for = line.words[at] == "for"
    start = at + has_for
    count = find_cardinal(line, start)
    if count is not None and line.words[count.end] in _TIMES and 1 <= count.value <= MAX_COUNT:
        return Match(Bound(times=count.value), count.end + 1)
    length = find_duration(line, start) if has_for else None
    if length is None or length.value.minutes:
        return None
    return Match(Bound(lasting=length.value), length.end)
