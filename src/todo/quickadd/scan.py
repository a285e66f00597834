"""Scanner that recognizes the parts of a text from left to right."""

from collections.abc import Iterator
from dataclasses import dataclass

from todo.quickadd import due, ranges, reminders
from todo.quickadd.days.present import Present
from todo.quickadd.due import Due, find_due
from todo.quickadd.ranges import Range, find_range
from todo.quickadd.reminders import Reminder, find_reminder
from todo.quickadd.rules import bounds, repeats
from todo.quickadd.rules.bounds import Bound, find_bound
from todo.quickadd.rules.patterns import Repeat
from todo.quickadd.rules.repeats import find_repeat
from todo.quickadd.tokens.line import Line, Match, TokenKind

Value = Repeat | Bound | Reminder | Range | Due

# First words of all parts; the scan skips other tokens at once.
_STARTS = frozenset({
    *repeats.STARTS, *bounds.STARTS, *reminders.STARTS, *ranges.STARTS, *due.STARTS,
})  # fmt: skip
_PLEASE = frozenset({"please", "pls", "plz"})
_AFTER_REMIND_ME = frozenset({"to", "that", "about"})


@dataclass(frozen=True, slots=True)
class Found:
    """Recognized part of the text, as a half-open range of code points, and its value."""

    start: int
    end: int
    value: Value


def scan(line: Line, present: Present) -> Iterator[Found]:
    """Yield the recognized parts of a line, from left to right and without overlaps.

    If several recognizers match at a token, the longest match wins, and among equal ones the first
    in this order: recurrence, bound, reminder, range, due date.
    """
    opening = _find_remind_me(line, present)
    yield from opening.value
    at = opening.end
    while at < len(line):
        best = _find_longest(line, at, present) if _can_start(line, at) else None
        if best is None:
            at += 1
            continue
        yield _place(line, at, best)
        at = best.end


def _find_remind_me(line: Line, present: Present) -> Match[list[Found]]:
    """Find `remind me to` and `remind me every day at 9 to` at the start of the text.

    The last part includes the `to`, `that` or `about`.
    """
    nothing: Match[list[Found]] = Match([], 0)
    start = int(line.words[0] in _PLEASE)
    at = max(line.phrase(start, words) for words in ("remind me", "remind us"))
    if at < 0:
        return nothing
    reminder = Reminder(is_at_due=True)
    parts: list[tuple[int, Match[Value]]] = [(0, Match(reminder, at))]
    while line.words[at] not in _AFTER_REMIND_ME:
        part = _find_longest(line, at, present) if _can_start(line, at) else None
        if part is None or isinstance(part.value, Reminder | Range):
            return nothing
        parts.append((at, part))
        at = part.end
    start, last = parts[-1]
    parts[-1] = (start, Match(last.value, at + 1))
    return Match([_place(line, start, part) for start, part in parts], at + 1)


def _place(line: Line, at: int, found: Match[Value]) -> Found:
    return Found(line[at].start, line[found.end - 1].end, found.value)


def _can_start(line: Line, at: int) -> bool:
    token = line[at]
    if token.kind is TokenKind.NUMBER:
        # No part starts with a number that is followed by another number or by nothing.
        return line[at + 1].kind in (TokenKind.WORD, TokenKind.MARK) and line.starts(at)
    return token.text in _STARTS and line.starts(at)


def _find_longest(line: Line, at: int, present: Present) -> Match[Value] | None:
    longest: Match[Value] | None = None
    end = at
    for found in (
        find_repeat(line, at),
        find_bound(line, at, present),
        find_reminder(line, at),
        find_range(line, at, present),
        find_due(line, at, present),
    ):
        if found is not None and found.end > end:
            longest, end = Match(found.value, found.end), found.end
    return longest
