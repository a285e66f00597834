"""Words that tasks are found by: folding, tokens, and the text that a database searches.

Both databases could find words by themselves, each by rules of its own: they differ in letters with
two case forms, in numbers such as `½`, and in scripts that write no blanks between words. So the
words are made here, the databases compare text only, and both find the same (docs/adr/0059).
"""

import hashlib
import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from todo.normalization import limit_marks

MAX_WORDS = 10
"""Words of a query that count; also terms of it that an index is asked for."""

MAX_WORD_LENGTH = 100
OWNER_MARK = "§"
"""Starts the term of the owner; no word has this character."""

# Without meaning for a word: soft hyphen, joiners, marks of byte order.
_IGNORED = re.compile("[\u00ad\u200c\u200d\u2060\ufeff]")
# The letter i with a dot, without one, or with two, is one letter in any case form.
_DOTTED = str.maketrans("\u0131", "i")
_DOT_ABOVE = "i\u0307"
# The longest ligature of letters has four; U+FDFA has 18.
_MAX_ORDINARY = 4
# First and last character of the scripts without blanks between words, and of Hangul, whose words
# end in particles.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul letters
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration mark and zero of Han
    (0x3031, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x3131, 0x31FF),  # Hangul letters, Bopomofo, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xA960, 0xA97F),  # Hangul letters
    (0xA9E0, 0xA9FF),  # Myanmar
    (0xAA60, 0xAA7F),  # Myanmar
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),  # Han
    (0x1B000, 0x1B16F),  # Kana
    (0x20000, 0x3FFFF),  # Han
)
_FIRSTS = [first for first, _ in _UNSPACED]
_LASTS = [last for _, last in _UNSPACED]
# Of kinds: letters with the marks on them, characters of an unspaced script, one single number.
_RUN = re.compile("w[wm]*|(?P<unspaced>u[um]*)|nm*")
_ASCII_WORD = re.compile("[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Term:
    """What an index is asked for.

    Attributes:
        text: A word, or two neighboring characters of an unspaced script.
        is_prefix: Whether it may be the start of a longer one.
    """

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class WordQuery:
    """The words of a query.

    Attributes:
        terms: A task that matches has all of them; others may have them as well.
        pieces: A task matches when its searched text has all of them.
    """

    terms: tuple[Term, ...]
    pieces: tuple[str, ...]


def fold(text: str) -> str:
    """Return a text without what a search ignores: case, width, ligatures and joiners."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFC", limit_marks(_IGNORED.sub("", text)))
    if not unicodedata.is_normalized("NFKC", plain):
        plain = "".join(map(_compatible, plain))
    # Decomposed, as Unicode defines a comparison without regard to case (D145).
    folded = unicodedata.normalize("NFD", limit_marks(plain)).casefold()
    folded = folded.replace(_DOT_ABOVE, "i").translate(_DOTTED)
    return unicodedata.normalize("NFC", folded)


def render_searched(owner: str, title: str, description: str | None) -> str:
    """Return the text by which a task is found: its words between blanks.

    First those of the title, then the term of the owner, by which the index tells the tasks of
    owners apart, then the words of the description.
    """
    words = [*_split(title), owner_term(owner), *_split(description or "")]
    return f" {' '.join(words)} "


@lru_cache(1024)
def owner_term(owner: str) -> str:
    """Return the term of an owner."""
    return OWNER_MARK + hashlib.sha256(owner.encode()).hexdigest()[:32]


def parse_query(query: str) -> WordQuery | None:
    """Return the words of a query; None where it has none."""
    runs = _find_runs(query)[:MAX_WORDS]
    if not runs:
        return None
    terms: list[Term] = []
    pieces: list[str] = []
    for number, (run, is_unspaced) in enumerate(runs, 1):
        if is_unspaced and len(run) > 1:
            # The last character by itself could be the start of any pair.
            pairs = _pairs(run)[:-1]
            terms += map(Term, pairs)
            pieces.append(f" {' '.join(pairs)}")
        elif is_unspaced or number == len(runs):
            terms.append(Term(run, is_prefix=True))
            pieces.append(f" {run}")
        else:
            terms.append(Term(run))
            pieces.append(f" {run} ")
    return WordQuery(tuple(dict.fromkeys(terms))[:MAX_WORDS], tuple(dict.fromkeys(pieces)))


def _split(text: str) -> list[str]:
    words: list[str] = []
    for run, is_unspaced in _find_runs(text):
        words += _pairs(run) if is_unspaced else [run]
    return words


def _pairs(run: str) -> list[str]:
    """Return each character with the one after it; the last is by itself."""
    return [run[start : start + 2] for start in range(len(run))]


def _find_runs(text: str) -> list[tuple[str, bool]]:
    """Return the words of a text, and whether each is a run of an unspaced script."""
    folded = fold(text)
    if folded.isascii():
        return [(word[:MAX_WORD_LENGTH], False) for word in _ASCII_WORD.findall(folded)]
    kinds = "".join(map(_kind, folded))
    runs = []
    for match in _RUN.finditer(kinds):
        run = folded[match.start() : match.end()]
        is_unspaced = match["unspaced"] is not None
        runs.append((run if is_unspaced else run[:MAX_WORD_LENGTH], is_unspaced))
    return runs


@lru_cache(8192)
def _kind(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] == "M":
        return "m"
    if category == "No":
        return "n"
    if category[0] not in "LN":
        return " "
    place = bisect_right(_FIRSTS, ord(char)) - 1
    return "u" if place >= 0 and ord(char) <= _LASTS[place] else "w"


@lru_cache(8192)
def _compatible(char: str) -> str:
    """Return the ordinary form of a letter or digit; `½` and `²` are no letters.

    A character that is a whole phrase is one word: the words of a task stay about as long as it.
    """
    if _kind(char) in {" ", "n"}:
        return char
    ordinary = unicodedata.normalize("NFKC", char)
    return ordinary if len(ordinary) <= _MAX_ORDINARY else char
