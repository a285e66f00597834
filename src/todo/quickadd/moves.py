"""Parser of texts that move an existing due date, in part or by an offset.

A text with only a day keeps the due time, and a text with only a time keeps the day.
`1 hour later` counts from the due date, `in 1 hour` from now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from todo.quickadd.days.present import make_present
from todo.quickadd.due import Due
from todo.quickadd.parser import parse_due
from todo.quickadd.scan import scan
from todo.quickadd.times.durations import Duration, find_duration
from todo.quickadd.tokens.line import DASHES, Line

_DIRECTIONS = {"later": 1, "earlier": -1, "sooner": -1}
_ELSEWHERE = timezone(timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class NewDue:
    """New due date, with only the parts that the text names.

    Attributes:
        day: Day, or None.
        next_day: Without a day, the next day on which the wall time occurs.
        clock: Wall time, or None.
        zone: Zone of the wall time, or None.
        instant: Instant that does not depend on the old due date; then the others are None.
    """

    day: date | None = None
    next_day: date | None = None
    clock: time | None = None
    zone: tzinfo | None = None
    instant: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """Offset from the old due date, to a later or an earlier time."""

    length: Duration
    is_earlier: bool

    def move_day(self, day: date) -> date | None:
        """Return a day moved by the months and days; None outside of the calendar."""
        return self.length.before_day(day) if self.is_earlier else self.length.after_day(day)

    @property
    def minutes(self) -> timedelta:
        """Offset without months and days, negative if earlier."""
        return timedelta(minutes=-self.length.minutes if self.is_earlier else self.length.minutes)


def parse_new_due(text: str, now: datetime, zone: tzinfo) -> NewDue | Shift:
    """Parse a whole text as a new due date or an offset from the old one, or raise a ValueError."""
    shift = _find_shift(Line(text))
    if shift is not None:
        return shift
    due = parse_due(text, now, zone)
    if not isinstance(due, datetime):
        return NewDue(day=due)
    found = [each.value for each in scan(Line(text), make_present(now, zone))]
    parts = [each for each in found if isinstance(each, Due)]
    has_day = any(part.days or part.instant for part in parts)
    named = next((part.clock.zone for part in parts if part.clock and part.clock.zone), None)
    if named is not None and not has_day:
        wall = _parse_instant(text, now, named)
        return NewDue(next_day=wall.date(), clock=wall.time(), zone=named)
    is_absolute = any(part.instant for part in parts) and _is_same_everywhere(text, now)
    if named is not None or is_absolute:
        return NewDue(instant=due)
    # In UTC, no clock change moves a wall time.
    wall = _parse_instant(text, now.astimezone(zone).replace(tzinfo=UTC), UTC)
    if has_day:
        return NewDue(day=wall.date(), clock=wall.time())
    return NewDue(next_day=wall.date(), clock=wall.time())


def _parse_instant(text: str, now: datetime, zone: tzinfo) -> datetime:
    due = parse_due(text, now, zone)
    if not isinstance(due, datetime):
        raise TypeError(text)
    return due.astimezone(zone)


def _is_same_everywhere(text: str, now: datetime) -> bool:
    return parse_due(text, now, UTC) == parse_due(text, now, _ELSEWHERE)


def _find_shift(line: Line) -> Shift | None:
    for start, shift, end in _find_shifts(line):
        if start > 0 or end < len(line):
            raise ValueError(
                "a length of time from the due date, as in 1 hour later, must be the whole text; "
                "write the day and the time, or in 1 hour, which counts from now"
            )
        return shift
    return None


def _find_shifts(line: Line) -> Iterator[tuple[int, Shift, int]]:
    """Yield each offset, such as `+1 week`, with its first token and the token after it."""
    for at, word in enumerate(line.words[: len(line)]):
        is_back = at == 0 and word in DASHES
        if is_back or (word == "+" and line.words[at - 1] != "now"):
            found = find_duration(line, at + 1)
            if found is not None:
                yield at, Shift(found.value, is_back), found.end
        elif line.starts(at):
            found = find_duration(line, at)
            if found is not None and line.words[found.end] in _DIRECTIONS:
                is_back = _DIRECTIONS[line.words[found.end]] < 0
                yield at, Shift(found.value, is_back), found.end + 1
