"""Questions about unparsed words next to a due date, such as `every` or `except`."""

from collections.abc import Sequence

from todo.quickadd.doubts.questions import ask_number, ask_part
from todo.quickadd.result import Question, Span
from todo.quickadd.rules.patterns import EVERY, RECURRING
from todo.quickadd.times.clock import DAY_PARTS, PLURAL_PARTS
from todo.quickadd.tokens.line import Line
from todo.quickadd.tokens.numbers import SUFFIXES
from todo.quickadd.vocabulary import (
    CARDINALS,
    DISTANT_DAYS,
    JOINING,
    MONTHS,
    UNITS,
    WEEKDAYS,
)

_BEFORE = frozenset({
    *RECURRING, "&", "alternate", "and", "between", "but", "except", "excluding", "of", "or",
    "since", "til", "till", "until",
})  # fmt: skip
_BEFORE_NAME = frozenset({"a", "my", "our", "the", "this"})
_AFTER = frozenset({"and", "but", "except", "excluding", "or"})
_EXCEPT = frozenset({"but", "except", "excluding"})
_DAYS = frozenset({*WEEKDAYS, *DISTANT_DAYS})
_SEVERAL = frozenset({"thrice", "times", "twice", "x"})
_NUMBERS = frozenset({*CARDINALS, "few", "many", "several"})
_A_PERIOD = frozenset({*RECURRING, "a", "per"})
_HALVES = frozenset({"am", "pm", "noon"})
_JOINING = frozenset({*JOINING, ","})
_AFTER_NUMBERS = frozenset({*RECURRING, *WEEKDAYS, *DISTANT_DAYS, *JOINING, "on", "until"})
_MAX_NUMBER = 31
_MAX_HOUR = 12
_APPOINTMENTS = frozenset({
    "appointment", "appt", "barber", "breakfast", "brunch", "checkup", "coffee", "dentist",
    "dinner", "doctor", "doctors", "doc", "gp", "haircut", "interview", "lunch", "meet", "meeting",
    "optician", "physio", "supper", "vet",
})  # fmt: skip
"""Words before an hour without `at`, as in `dentist 3 on tuesday`."""
_ALL = frozenset({*_BEFORE, *_AFTER, *PLURAL_PARTS, *_SEVERAL, *_JOINING})


def ask_unread(line: Line, spans: Sequence[Span], *, has_time: bool) -> Question | None:
    """Return the question for a due date next to words that were not parsed, or None."""
    recognized = [span for span in spans if span.kind in {"due", "recurrence"}]
    if recognized and not has_time and line.has_any(_APPOINTMENTS):
        hour = _ask_hour(line, recognized[0])
        if hour is not None:
            return hour
    if not recognized or not line.has_any(_ALL):
        return None
    several = _find_several(line)
    if several is not None:
        start, end = line[several[0]].start, line[several[1]].end
        text = line.text[start:end]
        return ask_part(start, end, text, (f'"{text}"',))
    starts = {line[at].start: at for at in range(len(line))}
    ends = {line[at].end: at for at in range(len(line))}
    removed = {span.end for span in spans}
    for span in recognized:
        first, last = starts[span.start], ends[span.end]
        more = _find_more(line, last, span)
        is_free = line[first - 1].end not in removed
        if is_free and first > 0 and _is_unread_before(line, first - 1):
            return _ask(line, first - 1, last, span)
        if more > last:
            return _ask(line, first, more, span)
    return None


def _ask_hour(line: Line, span: Span) -> Question | None:
    """Return the question for `dentist 3 on tuesday`, where the number may be an hour."""
    at = next(at for at in range(len(line)) if line[at].start == span.start) - 1
    is_number = at > 0 and 1 <= line.number(at) <= _MAX_HOUR and line.ends(at + 1)
    if not is_number or line.words[at - 1] not in _APPOINTMENTS:
        return None
    number, due = line.text[line[at].start : line[at].end], line.text[span.start : span.end]
    start, text = line[at].start, f"{number} {due}"
    return ask_number(start, span.end, text, (f"at {text}", f"\\{text}"))


def _is_unread_before(line: Line, at: int) -> bool:
    if line.words[at] == ",":
        # The first number is another day, as in "exam 20, 21 march".
        is_listed = 1 <= line.number(at - 1) <= _MAX_NUMBER and not line.is_numbered(at - 1)
        return is_listed and line.has_number(at + 1) and line.words[at + 2] in MONTHS
    # "The Daily tomorrow" has a name.
    is_name = line.words[at] in RECURRING and line.words[at - 1] in _BEFORE_NAME
    return line.words[at] in _BEFORE and not is_name


def _find_more(line: Line, last: int, span: Span) -> int:
    """Return the last unparsed token that belongs to a span, or the last one of the span."""
    word, after = line.words[last + 1], line.words[last + 2]
    if span.kind == "due":
        numbers = _find_more_numbers(line, last)
        if numbers > last:
            return numbers
    if word in PLURAL_PARTS:
        # The plural belongs to the day, as in "monday mornings".
        return last + 1
    if word in JOINING and line.words[last] in DAY_PARTS and after in DAY_PARTS:
        # A second part of the day follows, as in "every morning and night".
        return last + 2
    is_listed = word in _EXCEPT or (word == "and" and span.kind == "recurrence")
    is_more = word in _AFTER and (after in _DAYS or (is_listed and after in MONTHS))
    return last + 2 if is_more else last


def _find_several(line: Line) -> tuple[int, int] | None:
    """Find a count such as `twice a week` or `3 times daily`; return its first and last token."""
    if not line.has_any(_SEVERAL):
        return None
    for at in range(1, len(line)):
        if line.words[at] not in _SEVERAL or line.words[at + 1] not in _A_PERIOD:
            continue
        has_unit = line.words[at + 1] in {"a", "per", *EVERY}
        if has_unit and line.words[at + 2] not in UNITS:
            continue
        is_counted = line.words[at] in {"times", "x"}
        if is_counted and line.number(at - 1) < 0 and line.words[at - 1] not in _NUMBERS:
            continue
        return at - is_counted, at + 1 + has_unit
    return None


def _find_more_numbers(line: Line, last: int) -> int:
    """Return the last token of a list such as `at 9, 12 and 5`, or the given one."""
    is_ordinal = line.words[last] in SUFFIXES and line.has_number(last - 1)
    if not is_ordinal and not line.has_number(last) and line.words[last] not in _HALVES:
        return last
    at = last
    while line.words[at + 1] in _JOINING:
        start = line.skip(at + 2, "and")
        end = start + 1 + is_ordinal
        is_number = 0 <= line.number(start) <= _MAX_NUMBER and line.ends(end)
        if not is_number or (is_ordinal and line.words[end - 1] not in SUFFIXES):
            break
        if line.has_word(end) and line.words[end] not in _AFTER_NUMBERS:
            break
        at = end - 1
    return at


def _ask(line: Line, first: int, last: int, span: Span) -> Question:
    start, end = line[first].start, line[last].end
    text = " ".join(line.text[start:end].split())
    return ask_part(start, end, text, (line.text[span.start : span.end], f'"{text}"'))
