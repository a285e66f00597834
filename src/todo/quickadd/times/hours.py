"""Distinction of hours (`at 5`, `friday 5`) from other numbers (`at 5 places`)."""

from collections.abc import Sequence
from typing import NamedTuple

from todo.quickadd.days.model import NamedDay, Reference
from todo.quickadd.rules.patterns import RECURRING
from todo.quickadd.times.clock import DAY_PARTS, PLURAL_PARTS, Clock, Confidence
from todo.quickadd.tokens.line import DASHES, Line, Match
from todo.quickadd.vocabulary import DISTANT_DAYS, MONTHS, PLURAL_WEEKDAYS, UNITS, WEEKDAYS

AT = frozenset({"at", "@"})
_AFTER_HOUR = frozenset({
    "about", "after", "and", "around", "before", "behind", "beside", "by", "daily", "each", "ev",
    "every", "for", "from", "in", "inside", "monthly", "near", "next", "on", "opposite", "outside",
    "re", "sharp", "that", "this", "to", "until", "via", "weekly", "with",
})  # fmt: skip
"""Words that may follow `at 5`, unlike the noun in `at 5 places`."""
_ENDS_OF_RECURRENCE = frozenset({
    *RECURRING, *WEEKDAYS, *PLURAL_WEEKDAYS, *DAY_PARTS, "day", "days", "week", "weeks", "weekday",
    "weekdays", "workday", "weekend", "weekends", "month", "months", "year", "years",
})  # fmt: skip
_PLURALS = frozenset({*PLURAL_WEEKDAYS, *PLURAL_PARTS, "weekdays", "weekends"})
_OPENINGS = frozenset({*RECURRING, "once"})
_PLURAL_OPENINGS = frozenset({*_OPENINGS, *_PLURALS, *WEEKDAYS, "on", "weekday", "weekend"})
_MAX_OPENING = 6
_PERIODS = frozenset({*UNITS, "eod", "eom", "eoq", "eow", "eoy", "quarter", "time", "weekend"})
_DAYS = frozenset({*DISTANT_DAYS, *WEEKDAYS})
_DAY_WORDS = frozenset({*DISTANT_DAYS, "this", "in"})


class Beside(NamedTuple):
    """Parts of a due date that precede its time; the preposition is empty if there is none."""

    days: Sequence[NamedDay]
    has_part: bool
    preposition: str


def is_hour(line: Line, clock: Match[Clock], start: int, beside: Beside) -> bool:
    """Return whether a number is an hour, not the count of a noun."""
    days, has_part, preposition = beside
    end = clock.end
    # A range is not a time; both of its ends stay in the title.
    is_range = line.words[end] in {*DASHES, "to"} and line.has_number(end + 1)
    if is_range or not line.ends(end):
        return False
    if clock.value.confidence is not Confidence.NEVER_ALONE:
        return True
    is_beside = bool(days) or has_part
    is_counting = line.has_word(end)
    if preposition in AT:
        is_beside = is_beside or _is_behind_recurrence(line, start - 1, end)
        is_before_more = line.words[end] in _AFTER_HOUR or _is_day_word(line, end)
        return is_beside or is_before_more or not is_counting
    if is_beside:
        if days and (_is_period(line, days[-1]) or _is_listed(line, start)):
            return False
        has_part_behind = line.words[line.phrase(end, "in the")] in DAY_PARTS
        # In "friday 7 for 4", the second number is a number of people.
        is_for_people = line.words[end] == "for" and line.has_number(end + 1)
        return has_part_behind or is_for_people or not is_counting
    is_before_day = preposition in {"after", "before", "by"} and line.words[end] in _DAYS
    return is_before_day or (line.is_first(start) and _is_day_word(line, end))


def _is_period(line: Line, named: NamedDay) -> bool:
    """Return whether a day is that of a period (`next week`), which no bare hour follows."""
    word = line.words[named.end - 1]
    return named.day.reference is Reference.RELATIVE and (word in _PERIODS or word in MONTHS)


def _is_listed(line: Line, at: int) -> bool:
    """Return whether a number is another day of a date, as in `march 20, 21`."""
    return line.words[at - 1] == "," and line.has_number(at - 2)


def _is_behind_recurrence(line: Line, at: int, end: int) -> bool:
    """Return whether `at 8` follows a recurrence, which must start the text if a plural follows."""
    is_plural = line.words[at - 1] in _PLURALS
    is_end = line.words[at - 1] in _ENDS_OF_RECURRENCE and line.has_any(_OPENINGS)
    if not is_plural and not is_end:
        return False
    openings = _PLURAL_OPENINGS if is_plural else _OPENINGS
    opening = range(max(at - _MAX_OPENING, 0), at)
    is_opening = any(line.is_first(each) and line.words[each] in openings for each in opening)
    return is_opening or not line.words[end].endswith("s")


def _is_day_word(line: Line, at: int) -> bool:
    return line.words[at] in WEEKDAYS or line.words[at] in _DAY_WORDS
