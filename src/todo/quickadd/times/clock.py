"""Recognizers of times of day, such as `5pm`, `half past 8`, `noon` or `8:00 GMT`."""

import enum
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Final, NamedTuple

from todo.quickadd.times.durations import find_duration
from todo.quickadd.tokens.line import APOSTROPHES, Line, Match, memoized
from todo.quickadd.tokens.numbers import find_cardinal
from todo.quickadd.vocabulary import CARDINALS, UNITS

_HOURS, _MINUTES = 24, 60
_NOON = 12
_LAST_AFTERNOON_HOUR = 6
_LAST_NIGHT_HOUR = 4
_TWO_DIGITS = 2
_NAMED = (("noon", 12), ("midday", 12), ("mid day", 12), ("midnight", 0))
_FRACTIONS = {"half": 30, "quarter": 15}
_DIRECTIONS = {"past": 1, "after": 1, "from": 1, "to": -1, "before": -1, "till": -1}
_MERIDIEM_LETTERS = {"a": 0, "p": _NOON}
_DIRECTION_WORDS = frozenset(_DIRECTIONS)


class Confidence(enum.IntEnum):
    """Confidence of a date or time that has no word such as `on` before it."""

    NEVER_ALONE = 0
    """Only next to another part of a due date, like a bare number."""
    WHOLE_TEXT = 1
    """Also as the whole text."""
    AT_END = 2
    """Also at the end of the text."""
    AT_EDGE = 3
    """Also at the start of the text."""
    ANYWHERE = 4
    """Everywhere."""


class DayPart(enum.Enum):
    """Part of the day; the value is its default hour."""

    MORNING = 9
    AFTERNOON = 15
    EVENING = 19
    NIGHT = 20
    LUNCHTIME = 12


DAY_PARTS: Final = {
    "morning": DayPart.MORNING,
    "afternoon": DayPart.AFTERNOON,
    "evening": DayPart.EVENING,
    "night": DayPart.NIGHT,
    "lunchtime": DayPart.LUNCHTIME,
    # Australian and informal words.
    "arvo": DayPart.AFTERNOON,
    "nite": DayPart.NIGHT,
}

PLURAL_PARTS: Final = {f"{word}s": part for word, part in DAY_PARTS.items()}

ZONES: Final[dict[str, tzinfo]] = {
    "utc": UTC,
    "gmt": UTC,
    **{
        name: timezone(timedelta(hours=hours))
        for name, hours in {
            "bst": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3, "est": -5, "edt": -4, "cdt": -5,
            "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
        }.items()
    },
}  # fmt: skip


class Meridiem(enum.Enum):
    """Rule that decides whether a time without `am` or `pm` is in the morning."""

    KNOWN = enum.auto()
    """Already decided: `5pm`, `17:30`, `09:00`."""
    MORNING = enum.auto()
    """`9:30`: in the morning, unless a part of the day is named."""
    BY_HOUR = enum.auto()
    """`at 5`, `at 5:30`: in the afternoon up to six, unless a part of the day is named."""


class Clock(NamedTuple):
    """Time of day.

    Attributes:
        hour: Hour; 24 and more are on the next day, negative hours on the previous day.
        confidence: Positions in which it counts without another part of a due date.
        zone: Time zone in the text, or None.
    """

    hour: int
    minute: int = 0
    meridiem: Meridiem = Meridiem.KNOWN
    confidence: Confidence = Confidence.ANYWHERE
    zone: tzinfo | None = None

    @property
    def is_on_its_day(self) -> bool:
        """Whether the time is on the named day, not on the day before or after it."""
        return 0 <= self.hour < _HOURS

    def settle(self, part: DayPart | None) -> "Clock":
        """Return the time in the morning or afternoon, by the part of the day or a default."""
        hour = self.hour
        if self.meridiem is Meridiem.KNOWN:
            return self
        if part is None:
            is_afternoon = self.meridiem is Meridiem.BY_HOUR and 1 <= hour <= _LAST_AFTERNOON_HOUR
            hour += _NOON if is_afternoon else 0
        elif part is DayPart.NIGHT and 1 <= hour <= _LAST_NIGHT_HOUR:
            hour += _HOURS
        elif part in {DayPart.EVENING, DayPart.NIGHT}:
            hour += _NOON
        elif part is DayPart.LUNCHTIME:
            hour += _NOON if hour <= _LAST_NIGHT_HOUR else 0
        elif part is DayPart.AFTERNOON:
            hour += _NOON if hour < _NOON else 0
        elif hour == _NOON:
            hour = 0
        return self._replace(hour=hour, meridiem=Meridiem.KNOWN)


# Books of the Bible that are also names of people.
_BOOKS = frozenset({
    "acts", "daniel", "esther", "ezra", "james", "joel", "john", "joshua", "jude", "luke", "mark",
    "matthew", "micah", "peter", "ruth", "samuel", "timothy", "titus",
})  # fmt: skip
_READING = frozenset({
    "bible", "memorise", "memorize", "preach", "quote", "read", "reread", "sermon", "study",
    "verse",
})  # fmt: skip
STARTS: Final = frozenset({*CARDINALS, *_FRACTIONS, "a", "an", "mid", "midday", "midnight", "noon"})


def find_clock(line: Line, at: int, *, after_at: bool = False) -> Match[Clock] | None:
    """Find a time of day; after the word `at`, `1745` and `7.30` are times as well."""
    if line.is_numbered(at):
        return None
    found = _find_any(line, at)
    if found is not None:
        if after_at and found.value.meridiem is Meridiem.MORNING:
            # "at 2:30" is in the afternoon, like "at 2".
            return Match(found.value._replace(meridiem=Meridiem.BY_HOUR), found.end)
        return None if _is_verse(line, at, found) else found
    if after_at and line.digits(at) <= _TWO_DIGITS and line.is_attached(at + 1, "."):
        return _find_dotted(line, at)
    if line.digits(at) == 4:  # noqa: PLR2004 - hhmm
        return _find_four_digits(line, at, after_at=after_at)
    return None


def _find_four_digits(line: Line, at: int, *, after_at: bool) -> Match[Clock] | None:
    """Find `0545`, and `1745` after `at`."""
    has_zero = line.text[line[at].start] == "0"
    if not has_zero and not after_at:
        return None
    end = line.skip(at + 1, "hours", "hrs")
    meridiem = Meridiem.KNOWN if has_zero else Meridiem.BY_HOUR
    found = _make(*divmod(line.number(at), 100), end, Confidence.NEVER_ALONE, meridiem)
    return found and _find_zone(line, found)


def _find_dotted(line: Line, at: int) -> Match[Clock] | None:
    """Find `7.30` after `at`."""
    is_time = line.digits(at + 2) == _TWO_DIGITS and not line[at + 2].is_spaced
    if not is_time:
        return None
    return _make(line.number(at), line.number(at + 2), at + 3, Confidence.NEVER_ALONE)


def _is_verse(line: Line, at: int, clock: Match[Clock]) -> bool:
    """Return whether a time is a Bible verse, as in `read John 3:16`."""
    if clock.value.meridiem is not Meridiem.MORNING or line.words[at - 1] not in _BOOKS:
        return False
    is_all = line.is_first(at - 1) and line.is_last(clock.end)
    return is_all or line.has_any(_READING)


@memoized
def _find_any(line: Line, at: int) -> Match[Clock] | None:
    if not line.has_number(at) and line.words[at] not in STARTS:
        return None
    found = None
    if line.has_any(_DIRECTION_WORDS):
        found = _find_length_from(line, at) or _find_past(line, at)
    if found is None:
        found = _find_hour(line, at)
    return None if found is None else _find_zone(line, found)


def _find_zone(line: Line, found: Match[Clock]) -> Match[Clock]:
    zone = ZONES.get(line.words[found.end])
    if zone is None or not line.ends(found.end + 1):
        return found
    # A zone may follow a 24-hour time.
    clock = found.value._replace(zone=zone, meridiem=Meridiem.KNOWN, confidence=Confidence.ANYWHERE)
    return Match(clock, found.end + 1)


def _find_named(line: Line, at: int) -> Match[Clock] | None:
    for words, hour in _NAMED:
        end = line.phrase(at, words)
        if end > 0:
            return Match(Clock(hour, confidence=Confidence.AT_END), end)
    return None


def _find_length_from(line: Line, at: int) -> Match[Clock] | None:
    """Find `an hour before noon` or `2 hours before 1am`, which may be on an adjacent day."""
    length = find_duration(line, at)
    if length is None or length.value.months or length.value.days:
        return None
    direction = {"before": -1, "after": 1}.get(line.words[length.end])
    base = _find_hour(line, length.end + 1) if direction is not None else None
    if base is None or direction is None or base.value.confidence is Confidence.NEVER_ALONE:
        return None
    start = base.value.settle(None)
    minutes = start.hour * _MINUTES + start.minute + direction * length.value.minutes
    if direction < 0 and line.words[base.end - 1] == "midnight":
        # A time before midnight is on the named day, not on the day before.
        minutes += _HOURS * _MINUTES
    if not -_HOURS <= minutes // _MINUTES < 2 * _HOURS:
        return None
    return Match(Clock(*divmod(minutes, _MINUTES)), base.end)


def _find_past(line: Line, at: int) -> Match[Clock] | None:
    """Find a time such as `half past 8`, `a quarter to nine` or `ten past eight`."""
    start = line.skip(at, "a")
    if line.words[start] in _FRACTIONS:
        minutes, end, is_sure = _FRACTIONS[line.words[start]], start + 1, True
    else:
        number = find_cardinal(line, at)
        if number is None or not 0 < number.value < _MINUTES:
            return None
        minutes, end = number
        is_sure = UNITS.get(line.words[end]) == "minute"
        end += is_sure
    direction = _DIRECTIONS.get(line.words[end])
    if direction is None or not (
        is_sure or line.words[end] == "past" or line.words[at - 1] == "at"
    ):
        return None
    base = _find_hour(line, end + 1)
    if base is None or base.value.minute:
        return None
    hour, minute = divmod(base.value.hour * _MINUTES + direction * minutes, _MINUTES)
    if base.value.meridiem is Meridiem.BY_HOUR and hour == 0:
        hour = _NOON
    clock = base.value._replace(hour=hour % _HOURS, minute=minute, confidence=Confidence.ANYWHERE)
    return Match(clock, base.end)


def _find_hour(line: Line, at: int) -> Match[Clock] | None:
    if line.has_number(at):
        return _find_numeric(line, at)
    return _find_named(line, at) or _find_spoken(line, at)


def _find_numeric(line: Line, at: int) -> Match[Clock] | None:
    """Find a time such as `17:30`, `5.30pm`, `15h30`, `5pm`, `8 o'clock`, `12 15` or `9`."""
    hour, digits = line.number(at), line.digits(at)
    if not 1 <= digits <= _TWO_DIGITS:
        return None
    mark = "" if line[at + 1].is_spaced else line.words[at + 1]
    has_minute = line.digits(at + 2) == _TWO_DIGITS and not line[at + 2].is_spaced
    minute = line.number(at + 2) if has_minute else 0
    if mark in {":", "."} and has_minute:
        end = _skip_seconds(line, at + 3)
        meridiem = _find_meridiem(line, end)
        if meridiem is not None:
            return _make_with_meridiem(hour, minute, meridiem)
        is_known = digits == _TWO_DIGITS and hour < 10  # noqa: PLR2004 - a leading zero
        known = Meridiem.KNOWN if is_known else Meridiem.MORNING
        return _make(hour, minute, end, Confidence.ANYWHERE, known) if mark == ":" else None
    if mark == "h":
        return _make(hour, minute, at + 2 + has_minute, Confidence.WHOLE_TEXT, Meridiem.KNOWN)
    meridiem = _find_meridiem(line, at + 1, needs_m=True)
    if meridiem is not None:
        return _make_with_meridiem(hour, 0, meridiem)
    return _find_whole_hour(line, at, hour)


def _find_whole_hour(line: Line, at: int, hour: int) -> Match[Clock] | None:
    letter = line[at + 1]
    is_lower_case = line.text[letter.start : letter.end] == letter.text
    if letter.text in _MERIDIEM_LETTERS and is_lower_case and not letter.is_spaced:
        # "6p tomorrow" has a time, but "flat 6a" does not.
        short = _make_with_meridiem(hour, 0, Match(_MERIDIEM_LETTERS[letter.text], at + 2))
        confidence = Confidence.WHOLE_TEXT if letter.text == "p" else Confidence.NEVER_ALONE
        return short and Match(short.value._replace(confidence=confidence), short.end)
    has_clock = line.words[at + 1] == "o" and line.words[at + 3] == "clock"
    if has_clock and line.words[at + 2] in APOSTROPHES:
        return _make(hour, 0, at + 4, Confidence.ANYWHERE)
    if line.digits(at + 1) == _TWO_DIGITS and line[at + 1].is_spaced:
        return _make(hour, line.number(at + 1), at + 2, Confidence.NEVER_ALONE)
    return _make(hour, 0, at + 1, Confidence.NEVER_ALONE)


def _skip_seconds(line: Line, at: int) -> int:
    has_seconds = line.is_attached(at, ":") and line.digits(at + 1) == _TWO_DIGITS
    return at + 2 if has_seconds and line.number(at + 1) < _MINUTES else at


def _find_meridiem(line: Line, at: int, *, needs_m: bool = False) -> Match[int] | None:
    """Find `am`, `pm`, `a.m.`, `p m`, or `p` right after minutes; return the hours to add."""
    token = line[at]
    if token.text in {"am", "pm"}:
        return Match(_NOON * (token.text == "pm"), at + 1)
    if token.text not in {"a", "p"}:
        return None
    hours = _NOON * (token.text == "p")
    end = line.phrase(at, f"{token.text} . m")
    if end > 0 and line.is_attached(at + 1, "."):
        return Match(hours, line.skip_attached(end, "."))
    end = line.phrase(at, f"{token.text} m")
    if end > 0:
        return Match(hours, end)
    return None if needs_m or token.is_spaced else Match(hours, at + 1)


def _find_spoken(line: Line, at: int) -> Match[Clock] | None:
    """Find a time in words such as `three`, `nine fifty nine a m` or `eight o'clock`."""
    hour = CARDINALS.get(line.words[at], 0)
    if not 1 <= hour <= _NOON:
        return None
    minutes = find_cardinal(line, at + 1) if line.words[at + 1] in CARDINALS else None
    if minutes is not None and not 10 <= minutes.value < _MINUTES:  # noqa: PLR2004 - "three five"
        minutes = None
    minute, end = minutes or (0, at + 1)
    meridiem = _find_meridiem(line, end, needs_m=True)
    if meridiem is not None:
        return _make_with_meridiem(hour, minute, meridiem)
    if not minute:
        return _find_whole_hour(line, at, hour)
    return _make(hour, minute, end, Confidence.NEVER_ALONE)


def _make(
    hour: int, minute: int, end: int, confidence: Confidence, meridiem: Meridiem = Meridiem.BY_HOUR
) -> Match[Clock] | None:
    if not (0 <= hour < _HOURS and 0 <= minute < _MINUTES):
        return None
    if hour > _NOON or hour == 0:
        meridiem = Meridiem.KNOWN
    return Match(Clock(hour, minute, meridiem, confidence), end)


def _make_with_meridiem(hour: int, minute: int, meridiem: Match[int]) -> Match[Clock] | None:
    if not 1 <= hour <= _NOON or minute >= _MINUTES:
        return None
    return Match(Clock(hour % _NOON + meridiem.value, minute), meridiem.end)
