"""Words of messages and titles, and their forms: "called" is a form of "call".

Stems are not words and are never shown. Different words can have the same stem.
"""

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SHORTEST_STEM = 3
_VOWELS = frozenset("aeiouy")
_VOWEL_GROUP = re.compile(r"[aeiouy]+")
_CLOSED_END = re.compile(r"(?:\A|[^aeiouy]|qu)[aeiouy][^aeiouywx]\Z")
_IN_NUMBERS = frozenset(".,:/-")
_DIGIT = re.compile(r"\d")
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
SAME_IN_PAST = frozenset(word for word, base in _PASTS.items() if word == base)
"""Verbs whose past tense is the same word."""
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
    """Return the words of a text in lower case, without genitive endings."""
    folded = text.casefold().replace("\u2019", "'")
    return [word.removesuffix("'s") for word in _WORD.findall(folded)]


def cut_words(text: str) -> list[str]:
    """Return the words of a text as typed, without genitive endings; "1.2" is one word."""
    words: list[str] = []
    end = 0
    plain = text.replace("\u2019", "'")
    for found in _WORD.finditer(plain):
        word = found[0].removesuffix("'s").removesuffix("'S")
        mark = plain[end : found.start()]
        if words and mark in _IN_NUMBERS and words[-1][-1:].isdigit() and word[0].isdigit():
            words[-1] += mark + word
        else:
            words.append(word)
        end = found.end()
    return words


@lru_cache(4096)
def stem(word: str) -> str:
    """Return the part that a word has in common with its other forms."""
    base = _PASTS.get(word, word)
    if base == word:
        base = _cut_ending(word)
    if len(base) > _SHORTEST_STEM and base[-1] == "e":
        base = base[:-1]
    if len(base) > _SHORTEST_STEM and base[-1] == base[-2]:
        base = base[:-1]
    return base


def is_past(word: str) -> bool:
    """Return whether a word can be a verb in the past tense: "called", "bought"."""
    return word in _PASTS or (word.endswith("ed") and len(word) > _SHORTEST_STEM + 1)


def same_verbs(verb: str) -> tuple[str, ...]:
    """Return the synonyms of a verb, starting with the verb itself."""
    for group in _SAME_VERBS:
        if any(is_form(verb, each) for each in group):
            return (verb, *(each for each in group if not is_form(verb, each)))
    return (verb,)


@lru_cache(4096)
def is_form(word: str, other: str) -> bool:
    """Return whether two words are forms of one verb: "planned" and "plan", but not "plane"."""
    return word == other or not _bases(word).isdisjoint(_bases(other))


def is_plural(word: str, other: str) -> bool:
    """Return whether one of two words is the plural of the other."""
    short, long = sorted((word, other), key=len)
    return len(short) >= _SHORTEST_STEM and long in _plurals(short)


def is_near(word: str, other: str) -> bool:
    """Return whether two long words differ by one typing error, or `word` starts `other`.

    A word with a digit is never similar to another one.
    """
    shortest = 5
    if len(word) < shortest or len(other) < shortest or word[0] != other[0]:
        return False
    is_start = other.startswith(word)
    if abs(len(word) - len(other)) > 1 and not is_start:
        return False
    if _DIGIT.search(word) or _DIGIT.search(other):
        return False
    if is_start:
        return True
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


@lru_cache(4096)
def _bases(word: str) -> frozenset[str]:
    """Return the verbs of which a word can be a form, including the word itself."""
    found = {word, _PASTS.get(word, word)}
    for ending in ("ed", "ing"):
        if word.endswith(ending):
            cut = word[: -len(ending)]
            tries = {cut, f"{cut}e", cut[:-1], f"{cut[:-1]}y"}
            found |= {each for each in tries if word in _forms(each, ending)}
    return frozenset(found)


def _forms(verb: str, ending: str) -> set[str]:
    """Return the regular forms of a verb with an ending."""
    vowels = len(_VOWEL_GROUP.findall(verb))
    if len(verb) < _SHORTEST_STEM - 1 or not vowels:
        return set()
    if verb.endswith("e"):
        return {verb[:-1] + ending} if ending == "ed" or verb[-2] not in "eoy" else {verb + ending}
    if ending == "ed" and verb.endswith("y") and verb[-2] not in _VOWELS:
        return {f"{verb[:-1]}ied"}
    if not _CLOSED_END.search(verb):
        return {verb + ending}
    doubled = verb + verb[-1] + ending
    # "plan" must double its last letter, "visit" and "cancel" may.
    return {doubled} if vowels == 1 else {doubled, verb + ending}


def _plurals(word: str) -> tuple[str, ...]:
    if word.endswith("y") and word[-2] not in _VOWELS:
        return (f"{word[:-1]}ies",)
    if word.endswith("o"):
        return (f"{word}s", f"{word}es")
    return (f"{word}es",) if word.endswith(("s", "x", "z", "ch", "sh")) else (f"{word}s",)


def _cut_ending(word: str) -> str:
    for ending, new in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and not word.endswith("ss"):
            base = word[: -len(ending)] + new
            if len(base) >= _SHORTEST_STEM and not _VOWELS.isdisjoint(base):
                return base
    return word
