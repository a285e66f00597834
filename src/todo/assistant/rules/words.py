"""Words of messages and titles, compared without their endings: "called" is "call".

The stems are not words; two texts are compared by them, and nobody sees them.
"""

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SHORTEST_STEM = 3
_VOWELS = frozenset("aeiouy")
_PASTS = {
    "ate": "eat", "bought": "buy", "brought": "bring", "built": "build", "chose": "choose",
    "chosen": "choose", "did": "do", "done": "do", "drew": "draw", "drawn": "draw",
    "drove": "drive", "driven": "drive", "fed": "feed", "fetched": "fetch", "found": "find",
    "gave": "give", "given": "give", "got": "get", "gotten": "get", "held": "hold", "hung": "hang",
    "kept": "keep", "left": "leave", "made": "make", "met": "meet", "paid": "pay", "put": "put",
    "ran": "run", "rang": "ring", "rung": "ring", "read": "read", "sang": "sing", "sent": "send",
    "sold": "sell", "spoke": "speak", "spoken": "speak", "swept": "sweep", "took": "take",
    "taken": "take", "taught": "teach", "told": "tell", "threw": "throw", "thrown": "throw",
    "went": "go", "gone": "go", "won": "win", "woke": "wake", "wrote": "write",
    "written": "write", "hid": "hide", "cut": "cut", "set": "set", "shut": "shut",
}  # fmt: skip
_SAME_VERBS = (
    ("call", "phone", "ring", "telephone"),
    ("buy", "get", "purchase", "order"),
    ("send", "email", "mail"),
    ("book", "reserve"),
    ("fix", "repair", "mend"),
    ("clean", "tidy"),
    ("return", "bring"),
)


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without the genitive's ending."""
    folded = text.casefold().replace("\u2019", "'")
    return [word.removesuffix("'s") for word in _WORD.findall(folded)]


@lru_cache(4096)
def stem(word: str) -> str:
    """Return what a word has in common with its other forms."""
    base = _PASTS.get(word, word)
    if base == word:
        base = _cut_ending(word)
    if len(base) > _SHORTEST_STEM and base[-1] == "e":
        base = base[:-1]
    if len(base) > _SHORTEST_STEM and base[-1] == base[-2]:
        base = base[:-1]
    return base


def stems(text: str) -> list[str]:
    """Return the stems of the words of a text."""
    return [stem(word) for word in split_words(text)]


def is_past(word: str) -> bool:
    """Return whether a word can be a verb in the past: "called", "bought"."""
    return word in _PASTS or (word.endswith("ed") and len(word) > _SHORTEST_STEM + 1)


def same_verbs(verb: str) -> tuple[str, ...]:
    """Return the stems of verbs that say the same, this one first."""
    first = stem(verb)
    for group in _SAME_VERBS:
        forms = tuple(map(stem, group))
        if first in forms:
            return (first, *(form for form in forms if form != first))
    return (first,)


def is_near(word: str, other: str) -> bool:
    """Return whether one long word is the other with one typing error, or its start."""
    shortest = 5
    if len(word) < shortest or len(other) < shortest or word[0] != other[0]:
        return False
    if other.startswith(word):
        return True
    if abs(len(word) - len(other)) > 1:
        return False
    at = 0
    while at < min(len(word), len(other)) and word[at] == other[at]:
        at += 1
    rest, others = word[at:], other[at:]
    return (
        rest[1:] == others[1:]
        or rest[1:] == others
        or rest == others[1:]
        or (rest[:2] == others[:2][::-1] and rest[2:] == others[2:])
    )


def _cut_ending(word: str) -> str:
    for ending, new in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and not word.endswith("ss"):
            base = word[: -len(ending)] + new
            if len(base) >= _SHORTEST_STEM and not _VOWELS.isdisjoint(base):
                return base
    return word
