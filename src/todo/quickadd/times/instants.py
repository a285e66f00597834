"""Instants: in ISO 8601, or from a day and a time."""

import re
from datetime import date, datetime, time

from todo.quickadd.days.present import Present
from todo.quickadd.times.clock import Clock
from todo.quickadd.tokens.line import Line, Match, TokenKind
from todo.schedule.due import EARLIEST, LATEST, at_wall_time

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ](?:[01]\d|2[0-3]):\d\d(?::\d\d(?:\.\d{1,6})?)?"
    r"(?:Z|[+-]\d\d:?\d\d)?(?![\w:])",
    re.ASCII | re.IGNORECASE,
)


def find_iso(line: Line, at: int, present: Present) -> Match[datetime] | None:
    """Find an instant, or a day with a wall time, in ISO 8601."""
    if line.digits(at) != 4:  # noqa: PLR2004 - a year
        return None
    match = _ISO.match(line.text, line[at].start)
    if match is None:
        return None
    try:
        found = datetime.fromisoformat(match[0].upper()).replace(microsecond=0)
    except ValueError:
        return None
    if not EARLIEST <= found.date() <= LATEST:
        return None
    if found.tzinfo is None:
        found = at_wall_time(found.date(), found.time(), present.zone)
    end = at
    while line[end].kind is not TokenKind.END and line[end].start < match.end():
        end += 1
    return Match(found.astimezone(present.zone), end)


def instant_of(day: date, clock: Clock, present: Present) -> datetime:
    """Return the instant of a time on a day, in the user's zone."""
    moved = date.fromordinal(day.toordinal() + clock.hour // 24)
    at = at_wall_time(moved, time(clock.hour % 24, clock.minute), clock.zone or present.zone)
    return at.astimezone(present.zone)
