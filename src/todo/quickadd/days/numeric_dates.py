"""Recognizer of dates in digits, such as `2027-03-15`, `15/3`, `3/15/2027` or `15.3.`."""

from datetime import date
from typing import NamedTuple

from todo.quickadd.days.model import Day
from todo.quickadd.days.present import Present, make_date, next_date
from todo.quickadd.times.clock import Confidence
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.vocabulary import WEEKDAYS

_TWO_DIGITS, _FOUR_DIGITS = 2, 4
_CENTURY = 2000
_MONTHS_OF_A_YEAR = 12
_THREE = 3
_ALWAYS = [24, 7]
_BEFORE_DATE = frozenset({":", "before", "by", "due", "on", "starting", "till", "until"})
_AFTER_FRACTION = frozenset({
    "cup", "cups", "empty", "full", "inch", "inches", "lb", "lbs", "mile", "miles", "of", "oz",
    "pint", "pints", "tbsp", "tsp", "yard", "yards",
})  # fmt: skip
# Fractions and `9/11`, which are not dates at the start of a text.
_COMMON_FRACTIONS = ([1, 2], [1, 3], [2, 3], [1, 4], [3, 4], [9, 11])


class _Chain(NamedTuple):
    """Numbers joined by one kind of mark, their counts of digits, and the next token."""

    numbers: list[int]
    digits: list[int]
    mark: str
    end: int


def find_numeric_date(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find a date in digits.

    With `.`, the day precedes the month. With `/` and `-`, both orders are in use, so a date can be
    ambiguous unless it starts with the year.
    """
    chain = _find_chain(line, at)
    if chain is None:
        return None
    if chain.digits[0] == _FOUR_DIGITS:
        return _find_year_first(chain)
    if chain.digits[0] > _TWO_DIGITS:
        return None
    if len(chain.numbers) == _THREE:
        return _find_year_last(chain)
    if chain.mark == "-":
        return None
    return _find_without_year(line, at, chain, present)


def _find_chain(line: Line, at: int) -> _Chain | None:
    mark = line.words[at + 1]
    if not line.has_number(at) or mark not in {"-", "/", "."}:
        return None
    numbers, digits, end = [line.number(at)], [line.digits(at)], at + 1
    while line.is_attached(end, mark) and line.has_number(end + 1) and not line[end + 1].is_spaced:
        numbers.append(line.number(end + 1))
        digits.append(line.digits(end + 1))
        end += 2
        if len(numbers) > _THREE:
            return None
    if len(numbers) == 1 or digits[1] > _TWO_DIGITS:
        return None
    return _Chain(numbers, digits, mark, end)


def _find_year_first(chain: _Chain) -> Match[Day] | None:
    is_date = len(chain.numbers) == _THREE and chain.digits[2] <= _TWO_DIGITS
    if chain.mark == "." or not is_date:
        return None
    year, month, day = chain.numbers
    found = make_date(year, month, day)
    return None if found is None else Match(Day(found), chain.end)


def _find_year_last(chain: _Chain) -> Match[Day] | None:
    first, second, year = chain.numbers
    # With `-`, a year of two digits is more likely another kind of number.
    has_short_year = chain.digits[2] == _TWO_DIGITS and chain.mark != "-"
    if chain.digits[2] != _FOUR_DIGITS and not has_short_year:
        return None
    year += _CENTURY if has_short_year else 0
    days = [make_date(year, second, first)]
    if chain.mark != ".":
        days.append(make_date(year, first, second))
    return _match(days, Confidence.ANYWHERE, chain.end)


def _find_without_year(line: Line, at: int, chain: _Chain, present: Present) -> Match[Day] | None:
    first, second = chain.numbers
    days = [_next(second, first, present)]
    end = chain.end
    if chain.mark == ".":
        # Without the second dot, it is a decimal number.
        if not line.is_attached(end, "."):
            return None
        end += 1
    elif _is_fraction(line, at, chain):
        return None
    elif chain.numbers in _COMMON_FRACTIONS and line.is_first(at) and line.has_word(end):
        # "3/4 cup of sugar" and "9/11 memorial" have no date.
        return None
    else:
        days.append(_next(first, second, present))
    return _match(days, Confidence.AT_EDGE, end)


def _is_fraction(line: Line, at: int, chain: _Chain) -> bool:
    """Return whether numbers are not a date, as in `24/7` and `5/6 of the pie`."""
    if chain.numbers == _ALWAYS:
        return line.words[at - 1] not in _BEFORE_DATE and line.words[at - 1] not in WEEKDAYS
    return chain.numbers[0] < chain.numbers[1] and line.words[chain.end] in _AFTER_FRACTION


def _next(month: int, day: int, present: Present) -> date | None:
    is_month = 1 <= month <= _MONTHS_OF_A_YEAR
    return next_date(present.today, month, day) if is_month else None


def _match(days: list[date | None], confidence: Confidence, end: int) -> Match[Day] | None:
    found = list(dict.fromkeys(day for day in days if day is not None))
    if not found:
        return None
    other = found[1] if len(found) > 1 else None
    return Match(Day(found[0], confidence=confidence, other=other), end)
