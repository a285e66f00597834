"""Time zones defined in a calendar file (VTIMEZONE), as `tzinfo`.

icalendar and dateutil are not used: they loop forever on INTERVAL=0, fail on BYDAY=-99, and list
every clock change up to the requested year. This parser is as strict with rules as for tasks, and
searches a limited number of years for the last change before a time.
"""

import contextlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, tzinfo

from todo.core.time_budget import TimeBudget, TimeBudgetExceededError
from todo.schedule.days import find_days_of_year
from todo.schedule.due import LATEST
from todo.schedule.rule import Frequency, Rule, read_rule
from todo.schedule.series import normalize
from todo.transfer.ical.parser import Component, Property

_TIME = re.compile(r"([0-9]{8})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?")
_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):?([0-5][0-9])(?::?([0-5][0-9]))?")
_LOCAL_UNTIL = re.compile(r"(?<=UNTIL=)([0-9]{8}T[0-9]{6})(?=;|$)", re.IGNORECASE)
_TOO_LONG = "the rules and zones of this file take too long to check"
_NO_TIME = timedelta()
# A definition with the whole history of a zone has up to 250 observances.
_MAX_OBSERVANCES = 1000
_MAX_RULES = 1000
# Size of each offset cache; the tasks of a file have many times in common.
_MAX_LOOKUPS = 10_000
# Number of periods to search, as for recurrence; every date of the calendar recurs within them.
_SEARCHED = 50
_MAX_COUNTED = 100
# Some programs define zones from year 1 on; subtracting an offset must not overflow.
_EARLIEST = datetime(1, 1, 3)  # noqa: DTZ001 - a wall time


class UnreadableZoneError(ValueError):
    """Invalid or too costly time zone definition; the message has the reason."""


@dataclass(slots=True)
class _Repetition:
    """Clock changes of one RRULE."""

    rule: Rule
    start: datetime
    until: datetime | None
    budget: TimeBudget
    # Caches by number of the period, counted from the start.
    _onsets: dict[int, list[datetime]] = field(default_factory=dict)
    _last_before: dict[int, datetime | None] = field(default_factory=dict)

    def find_last(self, limit: datetime) -> datetime | None:
        """Return the last change at or before a wall time."""
        if self.until is not None:
            limit = min(limit, self.until)
        number = (limit.year - self.start.year) // self.rule.interval
        for onset in reversed(self.find_onsets(number) if number >= 0 else []):
            if self.start <= onset <= limit:
                return onset
        # All changes of earlier periods are before the limit.
        if number not in self._last_before:
            self._last_before[number] = self._find_last_before(number)
        return self._last_before[number]

    def _find_last_before(self, number: int) -> datetime | None:
        for earlier in range(number - 1, max(number - _SEARCHED, -1), -1):
            onsets = self.find_onsets(earlier)
            if onsets and onsets[-1] >= self.start:
                return onsets[-1]
        return None

    def find_onsets(self, number: int) -> list[datetime]:
        """Return the changes of one period, including those before the start."""
        if number not in self._onsets:
            self.budget.check()
            year = self.start.year + number * self.rule.interval
            clock = self.rule.clock or self.start.time()
            days = find_days_of_year(self.rule, year)
            self._onsets[number] = [datetime.combine(day, clock) for day in days]
        return self._onsets[number]


@dataclass(slots=True)
class _Observance:
    """A STANDARD or DAYLIGHT component: clock changes, with the offsets before and after."""

    before: timedelta
    after: timedelta
    single: list[datetime]
    repetitions: list[_Repetition]

    def find_last(self, limit: datetime) -> datetime | None:
        """Return the last change at or before a wall time in the offset before the change."""
        place = bisect_right(self.single, limit)
        found = [self.single[place - 1]] if place else []
        found += filter(None, (each.find_last(limit) for each in self.repetitions))
        return max(found, default=None)


class DescribedZone(tzinfo):
    """Time zone of a VTIMEZONE component.

    A skipped wall time has the offset before the clock change; an ambiguous wall time means the
    first of its two instants (RFC 5545, 3.3.5). An invalid definition raises UnreadableZoneError,
    and so do all conversions when the time budget is exhausted.
    """

    def __init__(self, description: Component, budget: TimeBudget) -> None:
        self._name = next((p.value for p in description.properties if p.name == "TZID"), "")
        parts = [p for p in description.components if p.name in {"STANDARD", "DAYLIGHT"}]
        if not parts:
            raise UnreadableZoneError("STANDARD and DAYLIGHT are missing")
        if len(parts) > _MAX_OBSERVANCES:
            raise UnreadableZoneError(f"more than {_MAX_OBSERVANCES} times STANDARD or DAYLIGHT")
        if sum(each.name == "RRULE" for part in parts for each in part.properties) > _MAX_RULES:
            raise UnreadableZoneError(f"more than {_MAX_RULES} times RRULE")
        self._budget = budget
        with _spend(budget):
            self._observances = [_read_observance(each, budget) for each in parts]
        self._first = min(self._observances, key=lambda each: each.single[0])
        self._offsets: dict[datetime, timedelta] = {}
        self._offsets_of_utc: dict[datetime, timedelta] = {}

    def utcoffset(self, moment: datetime | None) -> timedelta:
        """Return the offset of a wall time."""
        if moment is None:
            return self._first.before
        # Microseconds and fold do not matter, and would only add cache keys.
        wall = moment.replace(microsecond=0, tzinfo=None, fold=0)
        return self._look_up(self._offsets, wall, self._find_offset)

    def fromutc(self, moment: datetime) -> datetime:
        """Return the wall time of an instant."""
        instant = moment.replace(tzinfo=None)
        found = self._look_up(
            self._offsets_of_utc, instant.replace(microsecond=0), self._find_offset_of_utc
        )
        return (instant + found).replace(tzinfo=self)

    def _look_up(
        self,
        known: dict[datetime, timedelta],
        time_: datetime,
        find: Callable[[datetime], timedelta],
    ) -> timedelta:
        if time_ not in known:
            if len(known) >= _MAX_LOOKUPS:
                known.clear()
            with _spend(self._budget):
                known[time_] = find(time_)
        return known[time_]

    def _find_offset(self, wall: datetime) -> timedelta:
        found = self._first.before
        latest = datetime.min  # noqa: DTZ901 - a wall time
        for each in self._observances:
            gap = max(_NO_TIME, each.after - each.before)
            onset = each.find_last(wall - gap)
            if onset is not None and onset + gap >= latest:
                latest, found = onset + gap, each.after
        return found

    def _find_offset_of_utc(self, instant: datetime) -> timedelta:
        found = self._first.before
        latest = datetime.min  # noqa: DTZ901 - of UTC
        for each in self._observances:
            onset = each.find_last(instant + each.before)
            if onset is not None and onset - each.before >= latest:
                latest, found = onset - each.before, each.after
        return found

    def dst(self, _moment: datetime | None) -> timedelta | None:
        """Return None: a definition contains only total offsets."""
        return None

    def tzname(self, _moment: datetime | None) -> str:
        """Return the TZID in the file."""
        return self._name


@contextlib.contextmanager
def _spend(budget: TimeBudget) -> Iterator[None]:
    """Charge the block to a budget; raise UnreadableZoneError if it is exhausted."""
    try:
        with budget.spend():
            yield
    except TimeBudgetExceededError:
        raise UnreadableZoneError(_TOO_LONG) from None


def _read_observance(part: Component, budget: TimeBudget) -> _Observance:
    given: dict[str, Property] = {}
    for each in part.properties:
        if each.name in {"EXDATE", "EXRULE"}:
            raise UnreadableZoneError(f"line {each.line}: {each.name} is not supported here")
        given.setdefault(each.name, each)
    for name in ("DTSTART", "TZOFFSETFROM", "TZOFFSETTO"):
        if name not in given:
            raise UnreadableZoneError(f"line {part.line}: {name} is missing")
    before = _read_offset(given["TZOFFSETFROM"])
    start = _read_time(given["DTSTART"], given["DTSTART"].value, before)
    rdates = [
        _read_time(each, text.partition("/")[0], before)
        for each in part.properties
        if each.name == "RDATE"
        for text in each.value.split(",")
    ]
    rules = [each for each in part.properties if each.name == "RRULE"]
    return _Observance(
        before=before,
        after=_read_offset(given["TZOFFSETTO"]),
        single=sorted([start, *rdates]),
        repetitions=[_read_repetition(each, start, before, budget) for each in rules],
    )


def _read_offset(given: Property) -> timedelta:
    match = _OFFSET.fullmatch(given.value.strip())
    if match is None:
        why = f"{given.value[:20]!r} is not an offset such as +0100"
        raise UnreadableZoneError(f"line {given.line}: {given.name}: {why}")
    hours, minutes, seconds = (int(each or 0) for each in match.groups()[1:])
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -offset if match[1] == "-" else offset


def _read_time(given: Property, text: str, before: timedelta) -> datetime:
    match = _TIME.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError  # noqa: TRY301 - one message for every error
        hour, minute, second = (int(match[part] or 0) for part in (2, 3, 4))
        wall = datetime.combine(date.fromisoformat(match[1]), time(hour, minute, second))
        wall = max(wall, _EARLIEST)
        return wall + before if match[5] else wall
    except (ValueError, OverflowError):
        why = f"{text[:20]!r} is not a time such as 20261025T030000"
        raise UnreadableZoneError(f"line {given.line}: {given.name}: {why}") from None


def _read_repetition(
    given: Property, start: datetime, before: timedelta, budget: TimeBudget
) -> _Repetition:
    try:
        # UNTIL without Z is in local time.
        text = _LOCAL_UNTIL.sub(r"\1Z", given.value.strip().rstrip(";"))
        budget.check()
        plain = read_rule(text)
        if plain.frequency is not Frequency.YEARLY:
            raise ValueError(f"FREQ={plain.frequency}: clock changes require FREQ=YEARLY")  # noqa: TRY301
        rule = normalize(plain, due_date=start.date(), due_at=None, due_zone=None, basis="schedule")
        until = None
        if isinstance(rule.until, datetime):
            until = rule.until.replace(tzinfo=None)
            if text == given.value.strip().rstrip(";"):
                until += before
        elif rule.until is not None:
            until = datetime.combine(rule.until, time.max)
        found = _Repetition(replace(rule, clock=plain.clock), start, until, budget)
        if rule.count is not None:
            found.until = _find_end(found, rule.count)
    except (ValueError, OverflowError) as error:
        raise UnreadableZoneError(f"line {given.line}: RRULE: {error}") from None
    return found


def _find_end(repetition: _Repetition, count: int) -> datetime:
    """Return the time of change number `count`, where the start is number 1."""
    left, last = count - 1, repetition.start
    for number in range(_MAX_COUNTED):
        if not left:
            return last
        if repetition.start.year + number * repetition.rule.interval > LATEST.year:
            break
        later = [o for o in repetition.find_onsets(number) if o > repetition.start][:left]
        left -= len(later)
        last = later[-1] if later else last
    raise ValueError(f"COUNT={count}: only {_MAX_COUNTED} repetitions up to {LATEST} are counted")
