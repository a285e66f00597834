"""Recognizers of days of a month or year in a rule, such as `1st and 15th` or `march 15`."""

from dataclasses import replace
from typing import Final, NamedTuple

from todo.quickadd.days.present import days_of_month
from todo.quickadd.tokens.line import Line, Match, memoized
from todo.quickadd.tokens.numbers import find_ordinal
from todo.quickadd.vocabulary import MONTHS, WEEKDAYS
from todo.schedule.rule import Frequency, Rule

_WEEKS_OF_A_MONTH = 5
_DAYS_OF_A_MONTH = 31
_MAX_DAYS = 31
_LEAP_YEAR = 2000
_MONTHLY = Frequency.MONTHLY
# Numbers of the nouns that are not weekdays.
_DAY, _WORKDAY = 7, 8
_PERIODS = frozenset({"day", "week", "month", "year", "quarter"})
WORKDAYS: Final = tuple((0, weekday) for weekday in range(5))
_WORKDAY_NAMES = (
    "weekday", "weekdays", "workday", "workdays", "work day", "work days", "working day",
    "working days", "business day", "business days",
)  # fmt: skip
WORKDAY_STARTS: Final = frozenset(words.split()[0] for words in _WORKDAY_NAMES)


@memoized
def find_month_days(line: Line, at: int) -> Match[Rule] | None:
    """Find days of a month; with a named month, the rule is yearly."""
    found = [each for each in (_find_items(line, at), _find_in_year(line, at)) if each is not None]
    return max(found, key=lambda each: each.end, default=None)


def find_workday(line: Line, at: int) -> int:
    """Return the index of the token after `weekday` or a synonym, or -1."""
    return max(line.phrase(at, words) for words in _WORKDAY_NAMES)


def find_months(line: Line, at: int) -> Match[tuple[int, ...]] | None:
    """Find months such as `january`, `jan and jul` or `march, june and september`."""
    months: set[int] = set()
    end = at
    while line.words[at] in MONTHS:
        months.add(MONTHS[line.words[at]])
        end = at + 1
        at = line.skip(end, ",", "/")
        at = line.skip(at, "and")
        if at == end:
            break
    return Match(tuple(sorted(months)), end) if months else None


def _find_in_year(line: Line, at: int) -> Match[Rule] | None:
    """Find a date of each year such as `march 15`, `15 march` or `15th of march`."""
    month = MONTHS.get(line.words[at])
    if month is not None:
        start = line.skip(at + 1, "the")
        day = _find_number(line, start)
        if day is None or line.words[day.end] in {":", "am", "pm", "h"}:
            return None
    else:
        day = _find_number(line, at)
        if day is None:
            return None
        start = line.skip(day.end, "of")
        month = MONTHS.get(line.words[start])
        if month is None:
            return None
        day = Match(day.value, start + 1)
    if not 1 <= day.value <= days_of_month(_LEAP_YEAR, month):
        return None
    return Match(Rule(Frequency.YEARLY, by_month=(month,), by_month_day=(day.value,)), day.end)


def _find_number(line: Line, at: int) -> Match[int] | None:
    ordinal = find_ordinal(line, at)
    if ordinal is not None:
        return ordinal
    return Match(line.number(at), at + 1) if line.has_number(at) else None


def _find_items(line: Line, at: int) -> Match[Rule] | None:
    """Find days of a month such as `1st and 15th`, `last day` or `first and third monday`."""
    items: list[_Item] = []
    end = at
    while len(items) < _MAX_DAYS:
        at = line.skip(at, "the")
        item = _find_item(line, at)
        if item is None:
            break
        is_alone = item.value.is_bare and line.has_word(at)
        if is_alone and line.words[item.end] != "of" and not _find_item(line, item.end + 1):
            # The ordinal is not a day in "every first and foremost".
            return None
        items.append(item.value)
        end = item.end
        at = line.skip(end, ",", "/", "&")
        at = line.skip(at, "and")
        if at == end:
            break
    rule = _make_rule(items)
    if rule is None:
        return None
    found = _find_of(line, Match(rule, end))
    if len(items) > 1 or found.end > end:
        return found
    # "every second day" is every two days, and "every 2nd week" every two weeks.
    is_interval = items[0].place > 0 and (
        (items[0].noun == _DAY and not items[0].is_bare) or line.words[end] in _PERIODS
    )
    return None if is_interval else found


class _Item(NamedTuple):
    """Day of a month.

    Attributes:
        place: Ordinal number, negative from the end.
        noun: Number of a weekday, `_DAY` or `_WORKDAY`.
        is_bare: Whether the text has no noun here; it may follow in the next item.
    """

    place: int
    noun: int
    is_bare: bool = False


@memoized
def _find_item(line: Line, at: int) -> Match[_Item] | None:
    place = _find_place(line, at)
    if place is None:
        return None
    number, end = place
    weekday = WEEKDAYS.get(line.words[end])
    if weekday is not None:
        return Match(_Item(number, weekday), end + 1)
    after = find_workday(line, end)
    if after > 0:
        return Match(_Item(number, _WORKDAY), after)
    if line.words[end] == "day":
        return Match(_Item(number, _DAY), end + 1)
    is_number = line.has_number(at)
    is_listed = line.words[end] in {",", "and", "/", "&"} or _is_of_month(line, end)
    return Match(_Item(number, _DAY, is_bare=True), end) if is_number or is_listed else None


def _is_of_month(line: Line, at: int) -> bool:
    """Return whether a token continues `first` as in `first of every month`."""
    return line.words[at] == "of" and line.words[at + 1] in {"each", "every", "month", "the"}


def _make_rule(items: list[_Item]) -> Rule | None:
    """Return the rule with these days, or None if no rule can have all of them."""
    if not items:
        return None
    nouns = {item.noun for item in items if not item.is_bare} or {_DAY}
    noun = nouns.pop()
    places = sorted({item.place for item in items})
    if noun == _WORKDAY:
        is_one = not nouns and len(places) == 1
        return Rule(_MONTHLY, by_day=WORKDAYS, by_set_pos=tuple(places)) if is_one else None
    if noun == _DAY:
        is_valid = not nouns and all(1 <= abs(place) <= _DAYS_OF_A_MONTH for place in places)
        return Rule(_MONTHLY, by_month_day=tuple(places)) if is_valid else None
    if {_DAY, _WORKDAY} & nouns or max(map(abs, places)) > _WEEKS_OF_A_MONTH:
        return None
    by_day, following = set(), items[-1].noun
    for item in reversed(items):
        following = following if item.is_bare else item.noun
        by_day.add((item.place, following))
    return None if items[-1].is_bare else Rule(_MONTHLY, by_day=tuple(sorted(by_day)))


def _find_place(line: Line, at: int) -> Match[int] | None:
    """Find an ordinal number such as `first`, `3rd`, `last`, `2nd to last` or `second last`."""
    if line.words[at] == "last":
        return Match(-1, at + 1)
    ordinal = find_ordinal(line, at)
    if ordinal is None or ordinal.value < 1:
        return None
    for words in ("to last", "- to - last", "last"):
        end = line.phrase(ordinal.end, words)
        if end > 0:
            return Match(-ordinal.value, end)
    return ordinal


def _find_of(line: Line, found: Match[Rule]) -> Match[Rule]:
    """Find the month after a day: `of the month`, `of march`."""
    rule, end = found
    for words in ("of the month", "of month", "in the month"):
        after = line.phrase(end, words)
        if after > 0:
            return Match(rule, after)
    months = find_months(line, end + 1) if line.words[end] in {"of", "in"} else None
    if months is None:
        return found
    return Match(replace(rule, frequency=Frequency.YEARLY, by_month=months.value), months.end)
