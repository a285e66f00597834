"""Recognizers of parts of the day, such as `friday morning` or `first thing tomorrow`."""

from typing import Final

from todo.quickadd.times.clock import DAY_PARTS, DayPart
from todo.quickadd.tokens.line import Line, Match

_AT = frozenset({"lunchtime", "night"})
_FIRST_THING = ("first thing", "1 st thing")
_BEFORE_NOUN = frozenset({"a", "her", "his", "my", "one", "our", "the", "their", "this"})
_ENDS = (
    "cob", "eob", "eod", "close of business", "close of play", "end of business", "end of day",
    "end of the day", "end of play",
)  # fmt: skip
_END_STARTS = frozenset(words.split()[0] for words in _ENDS)
_OPENING_STARTS = frozenset({*_END_STARTS, "1", "first"})
_PART_STARTS = frozenset({*DAY_PARTS, "1", "at", "first", "in"})
STARTS: Final = frozenset({*_END_STARTS, "at", "first", "in"})


def find_day_part(line: Line, at: int, *, has_day: bool) -> Match[DayPart] | None:
    """Find `in the evening`, `at night`, and after a day `morning` or `first thing`."""
    if line.words[at] not in _PART_STARTS:
        return None
    start = line.phrase(at, "in the")
    if start < 0 and line.words[at] == "at" and line.words[at + 1] in _AT:
        start = at + 1
    if start < 0 and has_day:
        first = _find_first_thing(line, at)
        if first > 0 and line.ends(first):
            return Match(DayPart.MORNING, first)
        start = at
    part = DAY_PARTS.get(line.words[start]) if start >= 0 else None
    return None if part is None or not line.ends(start + 1) else Match(part, start + 1)


def find_opening(line: Line, at: int) -> Match[DayPart | None] | None:
    """Find `first thing` before a day, or an end of business, which has no part of the day."""
    if line.words[at] not in _OPENING_STARTS or line.words[at - 1] in _BEFORE_NOUN:
        # In "corn on the cob" and "the first thing", the words are a noun.
        return None
    end = _find_first_thing(line, at)
    part = None if end < 0 else DayPart.MORNING
    if end < 0:
        end = find_day_end(line, at)
    return None if end < 0 else Match(part, line.skip(end, "on", ","))


def find_day_end(line: Line, at: int) -> int:
    """Return the index of the token after `eod`, `cob` or `close of business`, or -1."""
    if line.words[at] not in _END_STARTS:
        return -1
    return max(line.phrase(at, words) for words in _ENDS)


def _find_first_thing(line: Line, at: int) -> int:
    if line.words[at] not in _OPENING_STARTS:
        return -1
    return max(line.phrase(at, words) for words in _FIRST_THING)
