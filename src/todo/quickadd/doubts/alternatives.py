"""Questions about several due dates for one task, such as `sat or sun` or `8am and 8pm`."""

import itertools
import re
from collections.abc import Sequence

from todo.quickadd.days.model import NamedDay, Reference
from todo.quickadd.days.present import Present
from todo.quickadd.doubts.questions import ask_several
from todo.quickadd.due import Due
from todo.quickadd.ranges import Range
from todo.quickadd.result import Question
from todo.quickadd.scan import Found
from todo.quickadd.times.instants import instant_of
from todo.quickadd.tokens.line import Line
from todo.quickadd.vocabulary import JOINING

_MOVING = frozenset({
    "bring", "bump", "change", "delay", "extend", "move", "pull", "push", "postpone", "reschedule",
    "shift", "swap", "switch", "transfer", "update",
})  # fmt: skip
_BETWEEN = frozenset({*JOINING, ""})
_CLAUSE = re.compile(r"[,;.!?]\s|\s[-\u2013\u2014]\s|\bthen\b")
Placed = tuple[Found, Due]


def ask_alternatives(line: Line, dues: Sequence[Placed], present: Present) -> Question | None:
    """Return the question about which of several due dates is meant, or None."""
    joined = _find_joined(line, dues)
    if joined:
        start, end = joined[0][0].start, joined[-1][0].end
        choices = _complete(line, joined, present)
        return ask_several(
            start, end, [text for text, _ in choices], [is_ahead for _, is_ahead in choices]
        )
    return _ask_moved(line, dues, present) if line.has_any(_MOVING) else None


def _find_joined(line: Line, dues: Sequence[Placed]) -> list[Placed]:
    """Return the first due dates that have only `or` or `and` between them."""
    joined: list[Placed] = []
    for due in dues:
        if due[1].question is not None:
            continue
        if joined and _between(line, joined[-1], due).strip(" ,\t") in _BETWEEN:
            joined.append(due)
        elif len(joined) > 1:
            break
        else:
            joined = [due]
    return joined if len(joined) > 1 else []


def _complete(line: Line, dues: Sequence[Placed], present: Present) -> list[tuple[str, bool]]:
    """Return the text of each due date, and whether it is in the future.

    A time without a day gets the day of another due date with a time.
    """
    dated = [due.days for _, due in dues if due.days and due.clock is not None]
    shared: Sequence[NamedDay] = dated[0] if dated else ()
    choices: list[tuple[str, bool]] = []
    for place, due in dues:
        if len(due.days) > 1 and all(
            named.day.reference is Reference.WEEKDAY for named in due.days
        ):
            choices += [(_text_of(line, [named]), True) for named in due.days]
            continue
        text = line.text[place.start : place.end]
        days = due.days
        if shared and not due.days and not due.instant:
            days, text = tuple(shared), f"{_text_of(line, shared)} {text}"
        choices.append((text, not _is_over(due, days, present)))
    return choices


def _is_over(due: Due, days: Sequence[NamedDay], present: Present) -> bool:
    if due.instant is not None:
        return due.instant <= present.now
    if not days:
        return False
    day = max(filter(None, (days[-1].day.day, days[-1].day.other)))
    if due.clock is None:
        return day < present.today
    return instant_of(day, due.clock.settle(due.part), present) <= present.now


def ask_range(line: Line, placed: tuple[Found, Range]) -> Question:
    """Return the question for a time on a range of days: on one day, or on each."""
    place, value = placed
    choices = [_text_of(line, [named]) for named in value.days]
    if all(named.day.reference is Reference.WEEKDAY for named in value.days):
        choices = [f"every {' to '.join(choices)}", choices[0]]
    text = line.text[place.start : place.end]
    message = f"{' '.join(text.split())} is more than one day; write one day, or a recurrence"
    return Question(place.start, place.end, "several-dues", message, tuple(choices))


def _text_of(line: Line, days: Sequence[NamedDay]) -> str:
    return line.text[line[days[0].start].start : line[days[-1].end - 1].end]


def _ask_moved(line: Line, dues: Sequence[Placed], present: Present) -> Question | None:
    """Return the question for `move the 3pm call to 4pm`, whose first time is not the due time."""
    for first, second in itertools.pairwise(dues):
        if not _between(line, first, second).rstrip().endswith(" to"):
            continue
        start, end = first[0].start, second[0].end
        old, new = (line.text[place.start : place.end] for place, _ in (first, second))
        between = line.text[first[0].end : second[0].start]
        both = " ".join(f"{old} and {new}".split())
        message = f"{both} are different due dates; put what is not the due date in quotation marks"
        neither = f'"{old}"{between}"{new}"'
        is_over = _is_over(second[1], second[1].days, present)
        choices = (neither,) if is_over else (f'"{old}"{between}{new}', neither)
        return Question(start, end, "several-dues", message, choices)
    return None


def ask_clauses(line: Line, dues: Sequence[Placed]) -> Question | None:
    """Return the question for `bins thursday, recycling friday`, which may be two tasks.

    The second due date must start or end its clause, unlike in `today, bake for the friday fair`.
    """
    for first, second in itertools.pairwise(due for due in dues if due[1].is_dated):
        between = _between(line, first, second)
        mark = _CLAUSE.search(between)
        if mark is None or not (first[0].start > line[0].start or between[: mark.start()].strip()):
            continue
        rest = line.text[second[0].end :].lstrip()
        if not rest or _CLAUSE.match(rest + " ") or not between[mark.end() :].strip():
            return _ask_which(line, first[0], second[0])
    return None


def ask_last(line: Line, dues: Sequence[Placed]) -> Question | None:
    """Return the question whether the first or the last due date is meant, or None.

    In `sunday dinner shopping saturday`, the first day may belong to the noun.
    """
    place, due = dues[-1]
    is_bare = bool(due.days) and place.start == line[due.days[0].start].start
    end = next(at for at in range(len(line) + 1) if line[at].start >= place.end)
    if len(dues) < 2 or not is_bare or not line.is_last(end):  # noqa: PLR2004 - two dues
        return None
    return _ask_which(line, dues[0][0], place)


def _ask_which(line: Line, first: Found, second: Found) -> Question:
    old, new = (line.text[place.start : place.end] for place in (first, second))
    between = line.text[first.end : second.start]
    message = (
        f"{_plain(old)} and {_plain(new)} are different due dates; "
        "put what is not the due date in quotation marks"
    )
    choices = (f'"{old}"{between}{new}', f'{old}{between}"{new}"')
    return Question(first.start, second.end, "several-dues", message, choices)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _between(line: Line, first: Placed, second: Placed) -> str:
    return line.text[first[0].end : second[0].start].lower()
