"""Recognizer of Taskwarrior's abbreviations after `due:`, such as `due:5d` or `due:som`."""

import re
from datetime import date, datetime, timedelta

from todo.quickadd.days.periods import edge_of
from todo.quickadd.days.present import Present, next_date
from todo.quickadd.times.durations import find_duration
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.vocabulary import MONTHS

_EDGE = re.compile(r"(?P<edge>[se])o(?P<step>[cn]?)(?P<unit>ww|[dwmqy])")
_EDGES = {"s": "start", "e": "end"}
_UNITS = {"d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"}
_STEPS = {"c": 0, "n": 1}
_FRIDAY, _WEEK = timedelta(days=4), timedelta(days=7)
# `m` can be a minute or a month.
_NOT_UNITS = frozenset({"m"})


def find_taskwarrior_due(line: Line, at: int, present: Present) -> Match[date | datetime] | None:
    """Find an abbreviation after `due:`; elsewhere it can be a word, as in `sow the seeds`."""
    if line.words[at - 2] != "due" or line.words[at - 1] != ":" or line[at - 1].is_spaced:
        return None
    if not line[at].is_spaced:
        day = _find_edge(line.words[at], present)
        if day is not None:
            return Match(day, at + 1)
        if line.words[at] in MONTHS and line.ends(at + 1) and not line.has_number(at + 1):
            first = next_date(present.today, MONTHS[line.words[at]], 1)
            return None if first is None else Match(first, at + 1)
    length = find_duration(line, at) if line.has_number(at) else None
    if length is None or line.words[length.end - 1] in _NOT_UNITS:
        return None
    due = length.value.after(present)
    return None if due is None else Match(due, length.end)


def _find_edge(word: str, present: Present) -> date | None:
    """Return the day of `som`, the start of the next month, or `eonw`, the end of the next week."""
    match = _EDGE.fullmatch(word)
    if match is None:
        return None
    edge, steps, unit = _EDGES[match["edge"]], _STEPS.get(match["step"]), match["unit"]
    if steps is None:
        steps = int(edge == "start" and unit != "d")
    if unit != "ww":
        return edge_of(_UNITS[unit], edge, steps, present)
    day = present.week(steps) + _FRIDAY * (edge == "end")
    return day if day >= present.today else day + _WEEK
