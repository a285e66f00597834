"""Days of a month or a year in a rule: `1st and 15th`, `last friday`, `march 15`."""

from dataclasses import dataclass, field, replace

from todo.quickadd.line import Line, Match
from todo.quickadd.numbers import find_ordinal
from todo.quickadd.present import days_of_month
from todo.quickadd.vocabulary import MONTHS, WEEKDAYS
from todo.schedule.rule import Frequency, Rule

_WEEKS_OF_A_MONTH = 5
_DAYS_OF_A_MONTH = 31
_MAX_DAYS = 31
_LEAP_YEAR = 2000
_WORKDAYS = tuple((0, weekday) for weekday in range(5))
_WORKDAY_NAMES = (
    "weekday", "workday", "work day", "working day", "business day",
)  # fmt: skip


@dataclass(slots=True)
class _Days:
    """Days of a month, of which a rule has one kind.

    Attributes:
        numbers: Days of the month, negative from its end.
        weekdays: Pairs of which one of the month and weekday.
        workdays: Which weekday of Monday to Friday.
    """

    numbers: set[int] = field(default_factory=set)
    weekdays: set[tuple[int, int]] = field(default_factory=set)
    workdays: set[int] = field(default_factory=set)

    def make_rule(self) -> Rule | None:
        """Return a monthly rule; None with days of several kinds."""
        if bool(self.numbers) + bool(self.weekdays) + bool(self.workdays) != 1:
            return None
        return Rule(
            Frequency.MONTHLY,
            by_month_day=tuple(sorted(self.numbers)),
            by_day=_WORKDAYS if self.workdays else tuple(sorted(self.weekdays)),
            by_set_pos=tuple(sorted(self.workdays)),
        )


def find_month_days(line: Line, at: int) -> Match[Rule] | None:
    """Find days of a month; with a month's name the rule is yearly."""
    in_year, listed = _find_in_year(line, at), _find_listed(line, at)
    if in_year is None or (listed is not None and listed.end > in_year.end):
        return listed
    return in_year


def find_months(line: Line, at: int) -> Match[tuple[int, ...]] | None:
    """Find `january`, `jan and jul`, `march, june and september`."""
    months: set[int] = set()
    end = at
    while line.word(at) in MONTHS:
        months.add(MONTHS[line.word(at)])
        end = at + 1
        at = end + (line.word(end) in {",", "/"})
        at += line.word(at) == "and"
        if at == end:
            break
    return Match(tuple(sorted(months)), end) if months else None


def _find_in_year(line: Line, at: int) -> Match[Rule] | None:
    """Find `march 15`, `15 march`, `15th of march`."""
    month = MONTHS.get(line.word(at))
    if month is not None:
        start = at + 1 + (line.word(at + 1) == "the")
        day = _find_number(line, start)
        if day is None or line.word(day.end) in {":", "am", "pm", "h"}:
            return None
    else:
        day = _find_number(line, at)
        if day is None:
            return None
        start = day.end + (line.word(day.end) == "of")
        month = MONTHS.get(line.word(start))
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
    return Match(line.number(at), at + 1) if line[at].kind == "n" else None


def _find_listed(line: Line, at: int) -> Match[Rule] | None:
    """Find `last day of the month`, `1st and 15th`, `first monday and third friday of march`."""
    days, start, end = _Days(), at, -1
    for _ in range(_MAX_DAYS):
        after = _find_group(line, at, days)
        if after < 0:
            break
        end = after
        at = _find_next(line, end)
        if at == end:
            break
    rule = days.make_rule()
    if rule is None:
        return None
    found = _find_of(line, Match(rule, end))
    is_named = line.word(start) == "last" or len(days.numbers) != 1 or found.end > end
    return found if is_named or not _is_interval(line, start, end) else None


def _is_interval(line: Line, at: int, end: int) -> bool:
    """Return whether a day is an interval, as in `every second day`, `every 2nd week`."""
    if line.word(end - 1) == "day":
        place = _find_place(line, at)
        return place is not None and place.value > 0
    return line.word(end) in {"day", "week", "month", "year", "quarter"}


def _find_group(line: Line, at: int, days: _Days) -> int:
    """Add days that share a noun, as in `first and third monday`, or are numbers, as in `1st, 2nd`.

    Returns:
        The token after them, or -1 if there are none.
    """
    places: list[int] = []
    numbers: list[int] = []
    end = -1
    while len(places) < _MAX_DAYS:
        place = _find_place(line, at)
        if place is None:
            break
        places.append(place.value)
        after = _find_noun(line, place.end, places, days)
        if after > 0:
            return after
        is_number = line[at].kind == "n" and 0 < place.value <= _DAYS_OF_A_MONTH
        if is_number and len(numbers) == len(places) - 1:
            numbers.append(place.value)
            end = place.end
        at = _find_next(line, place.end)
        if at == place.end:
            break
    days.numbers.update(numbers)
    return end


def _find_noun(line: Line, at: int, places: list[int], days: _Days) -> int:
    """Add the days of a noun; return the token after it, or -1."""
    most = max(map(abs, places))
    weekday = WEEKDAYS.get(line.word(at))
    if weekday is not None and most <= _WEEKS_OF_A_MONTH:
        days.weekdays.update((place, weekday) for place in places)
        return at + 1
    if line.word(at) == "day" and most <= _DAYS_OF_A_MONTH:
        days.numbers.update(places)
        return at + 1
    for name in _WORKDAY_NAMES:
        end = line.phrase(at, name)
        if end > 0:
            days.workdays.update(places)
            return end
    return -1


def _find_next(line: Line, at: int) -> int:
    """Return the token after `,`, `and` or `and the`; the same without one of them."""
    end = at + (line.word(at) in {",", "/", "&"})
    end += line.word(end) == "and"
    return end if end == at else end + (line.word(end) == "the")


def _find_place(line: Line, at: int) -> Match[int] | None:
    """Find `first`, `3rd`, `last`, `2nd to last`, `second last`."""
    if line.word(at) == "last":
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
    """Find the month behind a day: `of the month`, `of march`."""
    rule, end = found
    for words in ("of the month", "of month", "in the month"):
        after = line.phrase(end, words)
        if after > 0:
            return Match(rule, after)
    months = find_months(line, end + 1) if line.word(end) in {"of", "in"} else None
    if months is None:
        return found
    return Match(replace(rule, frequency=Frequency.YEARLY, by_month=months.value), months.end)
