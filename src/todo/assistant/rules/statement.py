"""Recognition of statements: lines about events, not about tasks.

"The train left at 5pm" has a time, like "dentist 5pm", but is not a task. A line that may be either
counts as a statement, so the user is asked and nothing is added.
"""

import re
from typing import Final

from todo.assistant.rules.vocabulary import VERBS
from todo.assistant.rules.words import SAME_IN_PAST, is_past

_THIRD_PERSON = frozenset({
    "agrees", "allows", "appears", "arrives", "asks", "becomes", "begins", "belongs", "breaks",
    "brings", "calls", "cancels", "changes", "closes", "comes", "costs", "cries", "decides",
    "depends", "does", "eats", "ends", "expects", "expires", "feels", "finishes", "fits", "forgets",
    "gets", "gives", "goes", "happens", "hates", "hears", "helps", "hopes", "hurts", "keeps",
    "knows", "lasts", "leaves", "lets", "likes", "lives", "looks", "loves", "makes", "means",
    "meets", "minds", "misses", "moves", "needs", "offers", "opens", "owes", "pays", "prefers",
    "promises", "puts", "reaches", "remembers", "returns", "rings", "rises", "runs", "says",
    "seems", "sees", "sells", "sends", "serves", "sets", "shuts", "sleeps", "smells", "sounds",
    "starts", "stays", "stops", "suggests", "suits", "takes", "tastes", "tells", "thinks", "tries",
    "turns", "understands", "uses", "visits", "waits", "wakes", "walks", "wants", "watches",
    "wishes", "works", "worries", "writes",
})  # fmt: skip
# Past forms besides those of the errands.
_PASTS = frozenset({
    "became", "began", "bit", "blew", "broke", "came", "caught", "cost", "died", "drank", "fell",
    "felt", "flew", "forgot", "grew", "heard", "knew", "lost", "quit", "rode", "rose", "said",
    "sat", "saw", "slept", "stole", "stood", "swam", "thought", "understood", "wore",
})  # fmt: skip
_COMING = frozenset({
    "arriving", "calling", "coming", "ending", "getting", "going", "leaving", "moving", "starting",
    "staying", "waiting", "working",
})  # fmt: skip
_AUXILIARIES = frozenset({
    "am", "are", "be", "been", "being", "can", "cannot", "could", "did", "do", "does", "had", "has",
    "have", "is", "may", "might", "must", "should", "was", "were", "will", "would",
})  # fmt: skip
_DENIALS = frozenset({
    "already", "forget", "ignore", "maybe", "never", "no", "nobody", "not", "nothing", "now",
    "perhaps", "skip", "without", "yet",
})  # fmt: skip
# "Kids back at 5pm", "Omar home 6pm": a place or a state after a noun.
_STATES = frozenset({"asleep", "away", "back", "busy", "closed", "gone", "here", "home", "there"})
_BEFORE_PLACES = frozenset(
    {"at", "back", "come", "from", "get", "go", "in", "near", "the", "welcome"}
)
_ARTICLES = frozenset({"a", "an", "at", "my", "our", "the", "to", "with"})
CHANGED: Final = frozenset({
    "arrived", "began", "came", "canceled", "cancelled", "changed", "closed", "delayed", "ended",
    "moved", "postponed", "rescheduled", "shifted", "started", "went",
})  # fmt: skip
_SHORT_FORM = re.compile(r"n't\b|'(?:ll|ve|re|m|d)\b", re.IGNORECASE)
_MARKS = " .,;:!?()\"'\u2019"
# "Hung" is rarely part of a statement.
_NO_PASTS = SAME_IN_PAST | {"hung"}


def is_statement(text: str, title: str) -> bool:
    """Return whether a line may be a statement; `title` is the line without dates and marks."""
    words = _split(title)
    said = set(words)
    if not words or _SHORT_FORM.search(text.replace("\u2019", "'")):
        return True
    if not said.isdisjoint(_AUXILIARIES | _DENIALS):
        return True
    is_first = text.lower().lstrip(" \"'").startswith(words[0])
    later = words[is_first:]
    if any(_is_past(word) or word in _THIRD_PERSON or word in _COMING for word in later):
        return True
    if len(words) > 1 and words[-1] in _STATES and words[0] not in VERBS:
        return words[-2] not in _BEFORE_PLACES
    # "guided tour 3pm" is a task, "missed the train" and "met Omar" are statements.
    is_plain = words[0].endswith("ed") and (_ARTICLES | CHANGED).isdisjoint(words[:2])
    return is_first and _is_past(words[0]) and not is_plain


def says_change(title: str) -> bool:
    """Return whether a line reports a change: "call with Ben moved to 3pm"."""
    words = _split(title)
    is_short = len(words) == 2 and _is_past(words[1])  # noqa: PLR2004 - "rent increased"
    return is_short or not CHANGED.isdisjoint(words[1:])


def _split(text: str) -> list[str]:
    """Return the words of a text; a compound such as "well-being" is one word."""
    words = (word.strip(_MARKS) for word in text.casefold().split())
    return [word for word in words if word]


def _is_past(word: str) -> bool:
    return word in _PASTS or (is_past(word) and word not in _NO_PASTS)
