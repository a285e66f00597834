"""Rules for answers to "which one do you mean?": a number, an ordinal, or words of a title."""

import re
from collections.abc import Sequence

from todo.assistant.rules.decision import TaskName
from todo.assistant.rules.line import make_line
from todo.assistant.rules.task_match import (
    MAX_CANDIDATES,
    SHOWN_CANDIDATES,
    Match,
    TaskIndex,
    split_parts,
)

_LONGEST = 300
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth"),
    *("sixth", "seventh", "eighth", "ninth", "tenth"),
)
_CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER = re.compile(
    r"(?:(?:the|number|no\.?|nr\.?|option|task|#|\() ?)*"
    rf"(?P<number>\d{{1,2}}|{'|'.join(_CARDINALS)}|(?P<ordinal>\d{{1,2}}(?:st|nd|rd|th)"
    rf"|{'|'.join(_ORDINALS)}|last)(?: (?:one|task|option|entry))?)[.)]*"
)
_ALL = re.compile(r"(?:both|all)(?: of (?:them|these|those)| of the tasks)?|them all")
NONE = re.compile(
    r"(?:(?:none|neither)(?: of (?:them|these|those|the tasks))?|no one|not any|never mind"
    r"|nevermind|forget it|cancel|no|nope)"
)
"""Pattern of answers that decline the question."""
_YES = re.compile(
    r"(?:yes|yep|yeah|yup|y|sure|right|correct|exactly)(?:[,. ]+(?:please|that one))?"
)
_LEAD = re.compile(
    r"(?:(?:i mean|i meant|it's|it is|that's|take|choose|pick) )?"
    r"(?:(?:the )?(?:one|task) (?:about|for|with|named|called|to|of) )?"
)
_OF_LIST = re.compile(
    r"(?:the )?(?:one|task) (?:on|in|from|of) (?:(?:the|my|our) )?(?P<list>\S.*?)(?: list)?"
    r"|(?:the )?(?P<of>\S.*?)(?: list)? one"
)


def choose(message: str, candidates: Sequence[TaskName]) -> Match:
    """Return the tasks that an answer chooses; `candidates` are in the order shown.

    If the answer matches several tasks, they are the `candidates` of the result.
    """
    line = make_line(message)
    if not line.text or line.is_question or len(message) > _LONGEST:
        return Match()
    lead = _LEAD.match(line.folded)
    start = 0 if lead is None else lead.end()
    text, folded = line.text[start:].strip(), line.folded[start:].strip(" .!")
    agrees = len(candidates) == 1 and _YES.fullmatch(line.folded.strip(" .!"))
    if agrees or (_ALL.fullmatch(folded) and len(candidates) < MAX_CANDIDATES):
        return Match(tuple(candidates))
    parts = split_parts(folded) or [folded]
    numbers = [at for part in parts if (at := _read_number(part, len(candidates))) is not None]
    if len(numbers) == len(parts):
        return Match(tuple(candidates[at] for at in dict.fromkeys(numbers)))
    return TaskIndex(candidates).match(text) or _match_list(folded, candidates)


def _read_number(text: str, count: int) -> int | None:
    """Return the index for "2", "the second one" or "the last"; None without such a task."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    word = found["ordinal"] or found["number"]
    if word == "last":
        # If there are more tasks than were shown, "the last one" is ambiguous.
        return count - 1 if count <= SHOWN_CANDIDATES else None
    names = _ORDINALS if word in _ORDINALS else _CARDINALS
    number = names.index(word) + 1 if word in names else int(word.rstrip("stndrh"))
    return number - 1 if 1 <= number <= min(count, SHOWN_CANDIDATES) else None


def _match_list(folded: str, candidates: Sequence[TaskName]) -> Match:
    found = _OF_LIST.fullmatch(folded)
    if found is None:
        return Match()
    name = found["list"] or found["of"]
    inside = [each for each in candidates if each.list_name and each.list_name.lower() == name]
    return Match(tuple(inside)) if len(inside) == 1 else Match(candidates=tuple(inside))
