"""Questions about impossible or unclear due dates: `by feb 30`, `due sunday midnight`."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from todo.quickadd.days.model import NamedDay
from todo.quickadd.days.present import Present, days_of_month
from todo.quickadd.doubts.questions import ask_unclear, days_ahead, render_day
from todo.quickadd.result import Question
from todo.quickadd.times.clock import Clock, Confidence
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.tokens.numbers import find_ordinal
from todo.quickadd.vocabulary import MONTHS
from todo.schedule.due import EARLIEST, LATEST

DEADLINES: Final = frozenset({"before", "by", "due"})
_ENDING = frozenset({"closes", "closing", "deadline", "ending", "ends", "expires", "expiry"})
_IN_DATES = frozenset({*MONTHS, "-"})
_DAY = timedelta(days=1)
_MAX_DAY, _MONTHS_OF_A_YEAR = 31, 12
_SHORTEST, _LONGEST_FEBRUARY = 28, 29
_FEBRUARY = 2


def ask_midnight(
    line: Line, at: int, end: int, days: Sequence[NamedDay], clock: Clock | None, present: Present
) -> Question | None:
    """Return the question about which midnight of a day a deadline means, or None."""
    is_midnight = clock is not None and clock.confidence is Confidence.AT_END and clock.hour == 0
    has_deadline = not DEADLINES.isdisjoint(line.words[at:end]) or line.words[at - 1] in _ENDING
    if not is_midnight or not days or not has_deadline:
        return None
    day = days[-1].day.day
    if day < present.today:
        return None
    choices = [f"{render_day(day)} 23:59"]
    if day > present.today:
        choices.append(f"{render_day(day)} 00:00")
    start, after = line[at].start, line[end - 1].end
    return ask_unclear(start, after, line.text[start:after], choices)


def find_impossible_date(line: Line, at: int, present: Present) -> Match[Question] | None:
    """Find a day that does not exist, such as `june 31` or `2027-02-29`."""
    if not line.has_any(_IN_DATES):
        return None
    found = _find_parts(line, at)
    if found is None:
        return None
    (year, month, day), end = found
    is_month = 1 <= month <= _MONTHS_OF_A_YEAR and _SHORTEST < day <= _MAX_DAY
    if not is_month or not line.ends(end):
        return None
    if year and not EARLIEST.year <= year < LATEST.year:
        return None
    last = _LONGEST_FEBRUARY if month == _FEBRUARY and not year else days_of_month(year, month)
    if day <= last:
        return None
    year = year or present.today.year + (month < present.today.month)
    nearest = date(year, month, days_of_month(year, month))
    start, after = line[at].start, line[end - 1].end
    choices = [render_day(each) for each in days_ahead([nearest, nearest + _DAY], present)]
    return Match(ask_unclear(start, after, line.text[start:after], choices), end)


def _find_parts(line: Line, at: int) -> Match[tuple[int, int, int]] | None:
    """Find year, month and day of `june 31`, `31st of june 2027`, `2027-02-29`."""
    if line.is_attached(at + 1, "-") and line.is_attached(at + 3, "-"):
        parts = line.number(at), line.number(at + 2), line.number(at + 4)
        return Match(parts, at + 5) if line.digits(at) == 4 else None  # noqa: PLR2004 - a year
    if line.words[at] in MONTHS:
        month = MONTHS[line.words[at]]
        day = _find_number(line, at + 1)
        if day is None:
            return None
        end = day.end
    else:
        day = _find_number(line, at)
        if day is None:
            return None
        at = line.skip(day.end, "of")
        if line.words[at] not in MONTHS:
            return None
        month, end = MONTHS[line.words[at]], at + 1
    start = line.skip(end, ",")
    has_year = line.digits(start) == 4  # noqa: PLR2004 - a year
    year = line.number(start) if has_year else 0
    return Match((year, month, day.value), start + 1 if has_year else end)


def _find_number(line: Line, at: int) -> Match[int] | None:
    if not line.has_number(at):
        return None
    return find_ordinal(line, at) or Match(line.number(at), at + 1)
