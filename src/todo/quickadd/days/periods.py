"""Recognizer of the start, middle or end of a period, such as `eom` or `mid march`."""

from datetime import date, timedelta
from typing import Final

from todo.quickadd.days.model import Day, Reference
from todo.quickadd.days.present import Present, days_of_month
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.vocabulary import MONTHS

STARTS: Final = frozenset({
    "beginning", "end", "eod", "eom", "eoq", "eow", "eoy", "first", "last", "mid", "middle",
    "start", "the",
})  # fmt: skip
_EDGES = {"beginning": "start", "start": "start", "mid": "mid", "middle": "mid", "end": "end"}
_DAYS_OF = (("last day of", "end"), ("first day of", "start"))
_UNITS = {"eod": "day", "eow": "week", "eom": "month", "eoq": "quarter", "eoy": "year"}
_JULY, _DECEMBER = 7, 12
_QUARTER = 3
_MIDDLE_OF_A_MONTH = 15
_MIDDLE_OF_A_WEEK, _END_OF_A_WEEK = 2, 6


def find_period_day(line: Line, at: int, present: Present) -> Match[Day] | None:
    """Find the start, middle or end of a period: the next such day, today included."""
    unit = _UNITS.get(line.words[at])
    if unit is not None:
        return Match(Day(_find_next(unit, "end", 0, present), Reference.RELATIVE), at + 1)
    at = line.skip(at, "the")
    for words, edge_of in _DAYS_OF:
        end = line.phrase(at, words)
        if end > 0:
            return _find_period(line, end, edge_of, present)
    edge = _EDGES.get(line.words[at])
    if edge is None:
        return None
    end = line.skip_attached(at + 1, "-")
    has_of = line.words[end] == "of"
    if edge == "start" and not has_of:
        # "start" is a verb, as in "start week 3".
        return None
    return _find_period(line, end + has_of, edge, present)


def _find_period(line: Line, at: int, edge: str, present: Present) -> Match[Day] | None:
    at = line.skip(at, "the", "this")
    steps = int(line.words[at] == "next")
    unit = line.words[at + steps]
    if unit in MONTHS and not steps:
        return Match(Day(_find_in_month(edge, MONTHS[unit], present), Reference.RELATIVE), at + 1)
    if unit not in _UNITS.values() or (unit == "day" and edge != "end"):
        return None
    day = _find_next(unit, edge, steps, present)
    return Match(Day(day, Reference.RELATIVE), at + steps + 1)


def _find_next(unit: str, edge: str, steps: int, present: Present) -> date:
    day = edge_of(unit, edge, steps, present)
    return day if day >= present.today else edge_of(unit, edge, steps + 1, present)


def edge_of(unit: str, edge: str, steps: int, present: Present) -> date:
    """Return the start, middle or end of a period, `steps` after the current one."""
    if unit == "day":
        return present.today + timedelta(days=steps)
    if unit == "week":
        days = {"start": 0, "mid": _MIDDLE_OF_A_WEEK, "end": _END_OF_A_WEEK}
        return present.week(steps) + timedelta(days=days[edge])
    if unit == "month":
        month = present.month(steps)
        return _day_of_month(edge, month.year, month.month)
    if unit == "quarter":
        months = {"start": 0, "mid": 1, "end": 2}[edge] - (present.today.month - 1) % _QUARTER
        month = present.month(steps * _QUARTER + months)
        return _day_of_month(edge, month.year, month.month)
    year = present.today.year + steps
    days_of_year = {"start": (1, 1), "mid": (_JULY, 1), "end": (_DECEMBER, 31)}
    return date(year, *days_of_year[edge])


def _find_in_month(edge: str, month: int, present: Present) -> date:
    day = _day_of_month(edge, present.today.year, month)
    is_over = day < present.today
    return _day_of_month(edge, present.today.year + 1, month) if is_over else day


def _day_of_month(edge: str, year: int, month: int) -> date:
    days = {"start": 1, "mid": _MIDDLE_OF_A_MONTH, "end": days_of_month(year, month)}
    return date(year, month, days[edge])
