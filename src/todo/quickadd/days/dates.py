"""Recognizers of calendar dates, such as `march 15th 2027`, `last friday of may` or `the 15th`."""

from datetime import date
from typing import Final

from todo.quickadd.days.model import Day
from todo.quickadd.days.numeric_dates import find_numeric_date
from todo.quickadd.days.present import Present, make_date, next_date, next_day_of_month, nth_weekday
from todo.quickadd.times.clock import DAY_PARTS, Confidence
from todo.quickadd.tokens.line import DASHES, Line, Match, memoized
from todo.quickadd.tokens.numbers import find_ordinal
from todo.quickadd.vocabulary import MONTHS, ORDINALS, TENS, UNITS, WEAK_MONTHS, WEEKDAYS
from todo.schedule.due import EARLIEST, LATEST

_TWO_DIGITS, _FOUR_DIGITS = 2, 4
_CENTURY = 2000
_WEEKS_OF_A_MONTH = 5
_MAX_COUNTED = 5
_COUNTED = frozenset({
    "miles", "km", "steps", "people", "times", "laps", "pages", "seconds", "items", *UNITS,
})  # fmt: skip
"""Words after a number that is not a day, as in `march 10 miles`."""
_AFTER_ORDINAL = frozenset({"at", "by", "for", "with", "and", "every", "in", "to", "until", "p"})
"""Words that may follow a day of the month, unlike the noun in `the 15th floor`."""
_CLAUSE_ENDS = frozenset({",", ";"})
"""Marks after `14 march` that show that `march` is not a verb."""
_STREETS = frozenset({
    "avenue", "ave", "boulevard", "blvd", "crescent", "drive", "gardens", "grove", "inc", "lane",
    "limited", "llc", "ltd", "mews", "rd", "road", "square", "street", "terrace",
})  # fmt: skip
"""Words of names that contain a number and a month, such as `10 May Street`."""
_IN_MONTH = frozenset({*MONTHS, "month"})
STARTS: Final = frozenset({*MONTHS, *ORDINALS, *TENS, "last", "the"})


@memoized
def find_date(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a calendar date that does not start a range such as `20 - 29`."""
    found = find_any_date(line, at, present)
    is_range = found is not None and line.words[found.end] in DASHES
    return None if found is None or (is_range and line.has_number(found.end + 1)) else found


def find_any_date(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a calendar date, which may start a range."""
    is_number = line.has_number(at)
    if not is_number and line.words[at] not in STARTS:
        return None
    if is_number and line.is_numbered(at):
        return None
    for find in _FIND_IN_DIGITS if is_number else _FIND_IN_WORDS:
        found = find(line, at, present)
        if found is not None:
            return found
    return None


def _find_month_first(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a date such as `march 15`, `Mar. 15th, 2027` or `march the third`."""
    name = line.words[at]
    if name not in MONTHS:
        return None
    start = line.skip_attached(at + 1, ".")
    start = line.skip(start, "the")
    day = find_ordinal(line, start)
    is_spoken = day is not None and line.has_word(start)
    if day is None:
        if not 1 <= line.digits(start) <= _TWO_DIGITS:
            return None
        day = Match(line.number(start), start + 1)
    if _starts_time(line, start) or line.words[day.end] in _COUNTED:
        return None
    confidence = Confidence.AT_EDGE if name in WEAK_MONTHS else Confidence.ANYWHERE
    if is_spoken and line.has_word(day.end) and line.words[at - 1] not in {"on", "by"}:
        # "may" is a verb, as in "may second guess".
        return None
    if line.words[day.end] in _CLAUSE_ENDS:
        confidence = Confidence.ANYWHERE
    return _with_year(line, day, MONTHS[name], present, confidence)


def _find_day_first(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a date such as `15 march`, `the 15th of march 2027` or `third day of october`."""
    if not line.has_any(_IN_MONTH):
        return None
    start = line.skip(at, "the")
    nth = _find_nth_weekday(line, start, present)
    if nth is not None:
        return nth
    day = find_ordinal(line, start)
    if day is None:
        if start != at or not 1 <= line.digits(start) <= _TWO_DIGITS:
            return None
        day = Match(line.number(start), start + 1)
    end = day.end + 2 * (line.phrase(day.end, "day of") > 0)
    has_of = end > day.end or line.words[end] == "of"
    end = line.skip(end, "of")
    if line.has_word(start) and not has_of:
        return None
    month = MONTHS.get(line.words[end])
    if month is None:
        is_day = has_of or line.has_word(start + 1)
        return _find_in_month(line, Match(day.value, end), present) if is_day else None
    is_weak = line.words[end] in WEAK_MONTHS and not has_of
    is_verb = line.words[end] == "may" and line.text[line[end].start].islower()
    end += 1 + (line.is_attached(end + 1, ".") and not line.is_last(end + 2))
    confidence = Confidence.AT_EDGE if is_weak else Confidence.ANYWHERE
    # "may" can be a verb, as in "6 may attend".
    confidence = Confidence.AT_END if is_weak and is_verb else confidence
    if line.words[end] in _CLAUSE_ENDS:
        confidence = Confidence.ANYWHERE
    return _with_year(line, Match(day.value, end), month, present, confidence)


def _find_in_month(line: Line, day: Match[int], present: Present) -> Match[Day] | None:
    """Find the rest of a phrase such as `20th of next month`."""
    at = line.skip(day.end, "the")
    if line.words[at] not in {"next", "this"} or line.words[at + 1] != "month":
        return None
    month = present.month(int(line.words[at] == "next"))
    return _match(make_date(month.year, month.month, day.value), at + 2)


def _find_nth_weekday(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a date such as `second wednesday of october 2014` or `last monday of march`."""
    nth = Match(-1, at + 1) if line.words[at] == "last" else find_ordinal(line, at)
    if nth is None or nth.value > _WEEKS_OF_A_MONTH:
        return None
    weekday = WEEKDAYS.get(line.words[nth.end])
    if weekday is None or line.words[nth.end + 1] not in {"of", "in"}:
        return None
    months = _find_months(line, nth.end + 2, present)
    if months is None:
        return None
    for year, month in months.value:
        day = nth_weekday(year, month, nth.value, weekday)
        if day is not None and day >= present.today:
            return Match(Day(day), months.end)
    return None


def _find_months(line: Line, at: int, present: Present) -> Match[list[tuple[int, int]]] | None:
    """Find `the month`, `next month` or `march`, and return the possible years and months."""
    at = line.skip(at, "the", "this")
    step = int(line.words[at] == "next")
    if line.words[at + step] == "month":
        firsts = [present.month(step), present.month(step + 1)]
        return Match([(first.year, first.month) for first in firsts], at + step + 1)
    month = MONTHS.get(line.words[at])
    if month is None:
        return None
    year, end = _find_year(line, at + 1)
    years = [year] if year else [present.today.year, present.today.year + 1]
    return Match([(each, month) for each in years], end)


def _find_ordinal_day(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find `the 15th`, the next day with this number."""
    start = line.skip(at, "the")
    if not line.has_number(start):
        return None
    day = find_ordinal(line, start)
    if day is None or not 1 <= day.value <= 31:  # noqa: PLR2004 - days of a month
        return None
    found = next_day_of_month(present.today, day.value)
    if found is None:
        return None
    weekday = WEEKDAYS.get(line.words[at - 1 - (line.words[at - 1] in {",", "."})])
    if line.has_word(day.end) and line.words[day.end] not in _AFTER_ORDINAL:
        # "friday 2nd interview" has no date, but "friday 16th dentist" and "31st night" do.
        is_date = weekday == found.weekday() or day.value > _MAX_COUNTED
        has_part = line.words[day.end] in DAY_PARTS
        if not is_date or (weekday is None and not has_part):
            return None
    confidence = Confidence.AT_EDGE if start > at else Confidence.WHOLE_TEXT
    return Match(
        Day(found, confidence=confidence if weekday is None else Confidence.ANYWHERE), day.end
    )


def _with_year(
    line: Line, day: Match[int], month: int, present: Present, confidence: Confidence
) -> Match[Day] | None:
    year, end = _find_year(line, day.end)
    if line.words[day.end] in _STREETS and line.text[line[day.end].start].isupper():
        return None
    if line.digits(day.end) == _FOUR_DIGITS and line.number(day.end) > LATEST.year:
        return None
    if year:
        return _match(make_date(year, month, day.value), end)
    found = next_date(present.today, month, day.value)
    return None if found is None else Match(Day(found, confidence=confidence), end)


def _find_year(line: Line, at: int) -> tuple[int, int]:
    """Return the year of `2027`, `, 2027` or a final `27`, or 0, and the next token."""
    start = line.skip(at, ",")
    number, digits = line.number(start), line.digits(start)
    if _starts_time(line, start):
        return 0, at
    if digits == _FOUR_DIGITS and EARLIEST.year <= number <= LATEST.year:
        return number, start + 1
    if digits == _TWO_DIGITS and start == at and line.is_last(start + 1):
        return _CENTURY + number, start + 1
    return 0, at


def _starts_time(line: Line, at: int) -> bool:
    if not line.has_number(at):
        return False
    after = line[at + 1]
    return after.text in {"am", "pm", "a", "p"} or (
        after.text in {":", "h", "."} and not after.is_spaced and line.has_number(at + 2)
    )


def _match(day: date | None, end: int) -> Match[Day] | None:
    return None if day is None else Match(Day(day), end)


_FIND_IN_DIGITS = (find_numeric_date, _find_day_first, _find_ordinal_day)
_FIND_IN_WORDS = (_find_month_first, _find_day_first, _find_ordinal_day)
