"""The scan of a text: what is found in it, from left to right."""

from collections.abc import Iterator
from dataclasses import dataclass

from todo.quickadd.bounds import Bound, find_bound
from todo.quickadd.clock import DAY_PARTS
from todo.quickadd.due import Due, find_due
from todo.quickadd.line import Line, Match
from todo.quickadd.present import Present
from todo.quickadd.ranges import Range, find_range
from todo.quickadd.reminders import Reminder, find_reminder
from todo.quickadd.repeats import Repeat, find_repeat
from todo.quickadd.vocabulary import CARDINALS, MONTHS, ORDINALS, PLURAL_WEEKDAYS, WEEKDAYS

Value = Repeat | Bound | Reminder | Range | Due

# Every word and mark that something can start with; other tokens cost one look.
_STARTS = frozenset({
    *WEEKDAYS, *PLURAL_WEEKDAYS, *MONTHS, *CARDINALS, *ORDINALS, *DAY_PARTS,
    "a", "after", "alarm", "alert", "an", "annually", "at", "before", "beginning", "between",
    "bimonthly", "biweekly", "by", "coming", "daily", "day", "due", "each", "end", "ending", "eom",
    "eow",
    "eoy", "ev", "every", "for", "fortnightly", "from", "half", "in", "last", "mid", "midday",
    "middle", "midnight", "monthly", "next", "noon", "now", "on", "overmorrow", "quarter",
    "quarterly", "recur", "remind", "reminder", "start", "starting", "the", "this", "through",
    "til", "till", "tmr", "tmrw", "tmw", "tod", "today", "tomorrow", "tonight", "until",
    "upcoming", "weekdays", "weekends", "weekly", "when", "within", "yearly", "!", "*", "+", "@",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A part of the text that has a meaning.

    Attributes:
        start: Number of its first code point.
        end: Number of the code point after its last.
        value: The meaning.
    """

    start: int
    end: int
    value: Value


def scan(line: Line, present: Present) -> Iterator[Found]:
    """Yield what a text has, from left to right.

    Where several recognizers find something at the same token, the one that reads farthest wins,
    and of those the first: recurrence, bound, reminder, range, due. The scan continues behind it.
    """
    at = 0
    while at < len(line):
        best = _find_longest(line, at, present) if _can_start(line, at) else None
        if best is None:
            at += 1
            continue
        yield Found(line[at].start, line[best.end - 1].end, best.value)
        at = best.end


def _can_start(line: Line, at: int) -> bool:
    token = line[at]
    if token.kind == "n":
        # Nothing starts with a number that another number follows, or nothing.
        return line[at + 1].kind in "wm" and line.starts(at)
    return token.text in _STARTS and line.starts(at)


def _find_longest(line: Line, at: int, present: Present) -> Match[Value] | None:
    best: Match[Value] | None = None
    for found in (
        find_repeat(line, at),
        find_bound(line, at, present),
        find_reminder(line, at),
        find_range(line, at, present),
        find_due(line, at, present),
    ):
        if found is not None and (best is None or found.end > best.end):
            best = Match(found.value, found.end)
    return best
