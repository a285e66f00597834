"""Words that only make sense with a due beside them, and stay in the title: `every`, `except`."""

from collections.abc import Sequence

from todo.quickadd.clock import DAY_PARTS
from todo.quickadd.line import Line
from todo.quickadd.questions import ask_part
from todo.quickadd.repeats import RECURRING
from todo.quickadd.result import Question, Span
from todo.quickadd.vocabulary import DISTANT_DAYS, MONTHS, WEEKDAYS

_BEFORE = frozenset({
    *RECURRING, "alternate", "and", "between", "but", "except", "excluding", "of", "or", "since",
    "til", "till", "until",
})  # fmt: skip
_BEFORE_NAME = frozenset({"a", "my", "our", "the", "this"})
_AFTER = frozenset({"and", "but", "except", "excluding", "or"})
_EXCEPT = frozenset({"but", "except", "excluding"})
_DAYS = frozenset({*WEEKDAYS, *DISTANT_DAYS})
_PLURAL_PARTS = frozenset(f"{part}s" for part in DAY_PARTS)
_ALL = _BEFORE | _AFTER | _PLURAL_PARTS


def ask_unread(line: Line, spans: Sequence[Span]) -> Question | None:
    """Return the question for a due that is only the half of what the text says, or None.

    Args:
        line: The text.
        spans: What was recognized, in order.
    """
    if not line.has_any(_ALL):
        return None
    starts = {line[at].start: at for at in range(len(line))}
    ends = {line[at].end: at for at in range(len(line))}
    removed = {span.end for span in spans}
    for span in spans:
        if span.kind not in {"due", "recurrence"}:
            continue
        first, last = starts[span.start], ends[span.end]
        # "The Daily tomorrow" has a name.
        is_name = line.words[first - 1] in RECURRING and line.words[first - 2] in _BEFORE_NAME
        is_free = line[first - 1].end not in removed and not is_name
        if is_free and line.words[first - 1] in _BEFORE and first > 0:
            return _ask(line, first - 1, last, span)
        word, after = line.words[last + 1], line.words[last + 2]
        if word in _PLURAL_PARTS:
            # "monday mornings"
            return _ask(line, first, last + 1, span)
        is_listed = word in _EXCEPT or (word == "and" and span.kind == "recurrence")
        if word in _AFTER and (after in _DAYS or (is_listed and after in MONTHS)):
            return _ask(line, first, last + 2, span)
    return None


def _ask(line: Line, first: int, last: int, span: Span) -> Question:
    start, end = line[first].start, line[last].end
    text = " ".join(line.text[start:end].split())
    return ask_part(start, end, text, (line.text[span.start : span.end], f'"{text}"'))
