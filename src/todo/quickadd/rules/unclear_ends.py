"""Questions about ends of a recurrence that are not a day, such as `until june`."""

from datetime import date, timedelta

from todo.quickadd.days.present import Present, add_months, make_date
from todo.quickadd.doubts.questions import ask_unclear_end, render_day
from todo.quickadd.result import Question
from todo.quickadd.tokens.line import Line, Match
from todo.quickadd.vocabulary import MONTHS
from todo.schedule.due import EARLIEST, LATEST

_DAY = timedelta(days=1)
_DECEMBER, _LAST = 12, 31
_BEFORE = frozenset({"about", "around", "early", "late", "mid", "next", "the", "this"})
_VAGUE = frozenset({
    "autumn", "christmas", "diwali", "easter", "eid", "fall", "halloween", "hanukkah", "hogmanay",
    "michaelmas", "passover", "ramadan", "spring", "summer", "thanksgiving", "whitsun", "winter",
    "xmas",
})  # fmt: skip


def find_unclear_end(line: Line, at: int, present: Present) -> Match[Question] | None:
    """Find an end after `until` that is not a day, and return the question about the day.

    A month or a year may be included or excluded; seasons and holidays have no dates here.
    """
    start = line.skip_attached(at + 1, ":")
    start = line.skip_any(start, _BEFORE)
    if line.words[start] in _VAGUE:
        return _ask(line, at, start + 1, [])
    period = _find_period(line, start, present)
    if period is None:
        return None
    (first, following), end = period
    days = [day for day in (first - _DAY, following - _DAY) if day >= present.today]
    if line.words[at] == "through":
        days = days[-1:]
    return _ask(line, at, end, days)


def _find_period(line: Line, at: int, present: Present) -> Match[tuple[date, date]] | None:
    """Find a month or a year; return its first day, and the first day after it."""
    month, year = MONTHS.get(line.words[at]), _year_at(line, at)
    if year:
        return Match((date(year, 1, 1), date(year, _DECEMBER, _LAST) + _DAY), at + 1)
    year, end = _year_at(line, at + 1), at + 2
    if month is None or (line.has_number(at + 1) and not year):
        return None
    if not year:
        year, end = present.today.year, at + 1
        year += date(year, month, 1) <= present.today
    first = make_date(year, month, 1)
    following = first and add_months(first, 1)
    return Match((first, following), end) if first and following else None


def _year_at(line: Line, at: int) -> int:
    """Return the year at a token, or 0."""
    number = line.number(at)
    is_year = line.digits(at) == 4 and EARLIEST.year <= number < LATEST.year  # noqa: PLR2004
    return number if is_year else 0


def _ask(line: Line, at: int, end: int, days: list[date]) -> Match[Question]:
    start, after = line[at].start, line[end - 1].end
    word = line.text[start : line[at].end]
    choices = tuple(f"{word} {render_day(day)}" for day in days)
    return Match(ask_unclear_end(start, after, line.text[start:after], choices), end)
