"""Detection of weekdays in names, which are not due dates, such as `cook Sunday roast`."""

from collections.abc import Sequence
from typing import Final, TypeVar

from todo.quickadd.days.model import Reference
from todo.quickadd.due import Due
from todo.quickadd.scan import Found
from todo.quickadd.times.clock import DAY_PARTS
from todo.quickadd.tokens.line import CONTENT, Line
from todo.quickadd.vocabulary import WEEKDAYS

P = TypeVar("P", bound=tuple[Found, Due])

_SHORTEST = min(map(len, ("monday", "friday", "sunday")))
_NAMING: Final = frozenset({*WEEKDAYS, "eod", "eom", "eoq", "eow", "eoy"})
_BEFORE_TOPIC: Final = frozenset({"about", "concerning", "re", "regarding", "than", "versus", "vs"})
"""Words before a topic, as in `email Bob about friday`."""
_NOT_NOUNS: Final = frozenset({
    *DAY_PARTS, "a", "about", "after", "again", "all", "also", "always", "an", "and", "around",
    "as", "asap", "at", "because", "before", "but", "by", "due", "during", "each", "else", "every",
    "except", "first", "for", "from", "he", "her", "his", "i", "if", "in", "inside", "instead",
    "into", "is", "it", "its", "later", "latest", "lunchtime", "maybe",
    "max", "my", "near", "next", "not",
    "of", "on", "once", "only", "or", "otherwise", "our", "out", "outside", "over", "per", "please",
    "pls", "plz", "re", "regarding", "remind", "reminder", "she", "since", "so", "starting",
    "thanks", "that", "the", "their", "then", "they", "this", "through", "till", "to", "together",
    "too", "unless", "until", "up", "urgent", "using", "via", "was", "we", "week", "when", "where",
    "which", "while", "who", "will", "with", "within", "without", "you", "your",
})  # fmt: skip
"""Words that may follow the weekday of a due date; before a noun, it is part of a name."""


def keep_topics(line: Line, found: Sequence[Found]) -> list[Found]:
    """Return the parts except days that are a topic, as in `email Bob about friday`."""
    starts = {line[at].start: at for at in range(len(line))}
    return [each for each in found if not _is_topic(line, starts[each.start], each)]


def _is_topic(line: Line, at: int, found: Found) -> bool:
    is_day = isinstance(found.value, Due) and len(found.value.days) == 1
    # Also in "re: friday".
    before = at - 1 - (line.words[at - 1] == ":")
    return is_day and at > 0 and line.words[before] in _BEFORE_TOPIC


def keep_nouns(line: Line, dues: Sequence[P], found: Sequence[Found]) -> list[P]:
    """Return the due dates except weekdays that belong to a noun or a name in the title."""
    starts, ends = {each.start for each in found}, {each.end for each in found}

    def is_thing(placed: P) -> bool:
        place, due = placed
        if not _is_noun(line, due, place):
            return False
        start, end = due.days[0].start, due.days[0].end
        is_beside = line[start - 1].end in ends or line[end].start in starts
        return due.part is not None or not is_beside

    return [due for due in dues if not is_thing(due)]


def _is_noun(line: Line, due: Due, place: Found) -> bool:
    if (
        len(due.days) != 1
        or due.days[0].day.reference is not Reference.WEEKDAY
        or due.clock is not None
    ):
        return False
    start, end = due.days[0].start, due.days[0].end
    if line[start].start != place.start:
        # The weekday follows `on`, `by` or `due`.
        return False
    if due.part is not None:
        return _is_name(line, start, end)
    is_bare = place.end == line[end - 1].end and start > 0
    is_inside = is_bare and line[start - 1].kind in CONTENT and line.has_word(end)
    is_full_name = len(line.words[start]) >= _SHORTEST
    return is_inside and is_full_name and line.words[end] not in _NOT_NOUNS


def _is_name(line: Line, start: int, end: int) -> bool:
    """Return whether capitalized words form a name, as in `Saturday Night Fever`."""
    words = [line.text[line[at].start : line[at].end] for at in range(start, end + 2)]
    is_title = len(words) == 3 and all(word.istitle() for word in words)  # noqa: PLR2004
    return is_title and line.words[end + 1] not in _NOT_NOUNS


def is_purpose(line: Line, due: Due, place: Found) -> bool:
    """Return whether a day follows a `for` outside of the due date, as in `for Sunday's dog`."""
    start = due.days[0].start if due.days else 0
    return start > 0 and line[start].start == place.start and line.words[start - 1] == "for"


def is_before_noun(line: Line, due: Due, place: Found) -> bool:
    """Return whether a word follows a due date that is only a date, a weekday or `eod`."""
    if len(due.days) != 1 or due.clock is not None or due.part is not None:
        return False
    start, end = due.days[0].start, due.days[0].end
    is_bare = place.start == line[start].start and place.end == line[end - 1].end
    is_naming = line.words[start] in _NAMING or due.days[0].day.reference is Reference.ABSOLUTE
    return is_bare and is_naming and line.has_word(end)
