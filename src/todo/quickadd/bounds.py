"""Start and end of a recurrence: `until 5 may`, `for 3 weeks`, `5 times`, `starting monday`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from todo.quickadd.dates import find_date
from todo.quickadd.day import Day
from todo.quickadd.durations import Duration, find_duration
from todo.quickadd.line import Line, Match
from todo.quickadd.numbers import find_cardinal
from todo.quickadd.offsets import find_offset
from todo.quickadd.present import Present
from todo.quickadd.relative_days import find_relative_day
from todo.quickadd.repeats import find_completion
from todo.schedule.rule import MAX_COUNT

_UNTIL = frozenset({"until", "till", "til", "through", "ending"})
_START = frozenset({"starting", "from", "beginning", "start"})
_TIMES = frozenset({"times", "occurrences"})
_ONE_TIME = frozenset({"time", "occurrence", *_TIMES})
_PREPOSITIONS = frozenset({"on", "from", "with"})


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound of a recurrence; exactly one attribute is set.

    Attributes:
        until: Its last day, or the last instant in UTC.
        lasting: How long it lasts.
        times: How often it occurs.
        start: The day from which it starts.
        from_completion: The next due is counted from completion.
    """

    until: date | None = None
    lasting: Duration | None = None
    times: int = 0
    start: Day | None = None
    from_completion: bool = False

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
    word = line.word(at)
    if word in _UNTIL or word in _START:
        return _find_border(line, at, present)
    end = find_completion(line, at)
    if end > 0:
        return Match(Bound(from_completion=True), end)
    return _find_length(line, at)


def _find_border(line: Line, at: int, present: Present) -> Match[Bound] | None:
    """Find `until 5 may`, `until:eoy`, `starting on monday`."""
    start = at + 1 + line.glued(at + 1, ":")
    start += line.word(start) in _PREPOSITIONS
    day = find_day(line, start, present)
    if day is None:
        return None
    if line.word(at) in _START:
        return Match(Bound(start=day.value), day.end)
    clock = _find_utc_clock(line, day.end)
    if clock is None:
        return Match(Bound(until=day.value.day), day.end)
    return Match(Bound(until=datetime.combine(day.value.day, clock.value, UTC)), clock.end)


def _find_utc_clock(line: Line, at: int) -> Match[time] | None:
    """Find `at 22:59:59 UTC`, with which a rule of a calendar ends."""
    if [line.word(each) for each in (at, at + 2, at + 4, at + 6)] != ["at", ":", ":", "utc"]:
        return None
    hour, minute, second = (line.number(each) for each in (at + 1, at + 3, at + 5))
    try:
        return Match(time(hour, minute, second), at + 7)
    except ValueError:
        return None


def _find_length(line: Line, at: int) -> Match[Bound] | None:
    """Find `5 times`, `for 3 weeks`."""
    word = line.word(at)
    start = at + (word == "for")
    count = find_cardinal(line, start)
    if count is not None and line.word(count.end) in _times(count.value):
        return (
            Match(Bound(times=count.value), count.end + 1)
            if 1 <= count.value <= MAX_COUNT
            else None
        )
    if word != "for":
        return None
    length = find_duration(line, start + (line.word(start) in {"the", "next"}))
    if length is None or length.value.minutes:
        return None
    return Match(Bound(lasting=length.value), length.end)


def _times(count: int) -> frozenset[str]:
    return _TIMES if count > 1 else _ONE_TIME


def find_day(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a day, however sure it is: a word before it says that it is one."""
    found = [find_relative_day(line, at, present), find_date(line, at, present)]
    offset = find_offset(line, at, present)
    if offset is not None and type(offset.value) is date:
        found.append(Match(Day(offset.value), offset.end))
    days = [each for each in found if each is not None]
    return max(days, key=lambda each: each.end, default=None)
