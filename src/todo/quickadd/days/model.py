"""A day that a text names, and how sure it is."""

from datetime import date
from enum import Enum, auto
from typing import NamedTuple

from todo.quickadd.times.clock import Confidence, DayPart


class Reference(Enum):
    """Kind of reference to a day."""

    ABSOLUTE = auto()
    """By its place in the calendar, `15 march`."""
    WEEKDAY = auto()
    """By its weekday, which can also check a date."""
    RELATIVE = auto()
    """By its distance from today, `tomorrow`."""


class Day(NamedTuple):
    """A day.

    Attributes:
        day: The day.
        reference: Kind of reference in the text.
        confidence: Positions in which it counts without another part of a due.
        part: Part of the day in its name, as in `tonight`, or None.
        other: Alternative day that the text can mean, or None.
    """

    day: date
    reference: Reference = Reference.ABSOLUTE
    confidence: Confidence = Confidence.ANYWHERE
    part: DayPart | None = None
    other: date | None = None


class NamedDay(NamedTuple):
    """A day, and the tokens that name it: from the start to that before the end."""

    day: Day
    start: int
    end: int
