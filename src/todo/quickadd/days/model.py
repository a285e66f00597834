"""Model of a recognized day."""

from datetime import date
from enum import Enum, auto
from typing import NamedTuple

from todo.quickadd.times.clock import Confidence, DayPart


class Reference(Enum):
    """Kind of reference to a day."""

    ABSOLUTE = auto()
    """By date, as in `15 march`."""
    WEEKDAY = auto()
    """By weekday, which can also confirm a date."""
    RELATIVE = auto()
    """By distance from today, as in `tomorrow`."""


class Day(NamedTuple):
    """Recognized day.

    Attributes:
        confidence: Positions in which it counts without another part of a due date.
        part: Part of the day in its name, as in `tonight`, or None.
        other: Second day that the text can mean, or None.
    """

    day: date
    reference: Reference = Reference.ABSOLUTE
    confidence: Confidence = Confidence.ANYWHERE
    part: DayPart | None = None
    other: date | None = None


class NamedDay(NamedTuple):
    """Day, with the half-open range of the tokens that name it."""

    day: Day
    start: int
    end: int
