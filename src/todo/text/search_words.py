"""Search words: case folding, tokens, and the text that the databases search.

The full-text searches of both databases have different rules for letter case, for numbers such as
`½`, and for scripts without spaces between words. So text is tokenized here, the databases only
compare it, and both find the same tasks (docs/adr/0059).
"""

import hashlib
import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from todo.text.normalization import limit_marks

MAX_WORDS = 10
"""Maximum number of words of a query, and of its index terms; further ones are ignored."""

MAX_WORD_LENGTH = 100
OWNER_MARK = "§"
"""First character of the owner's term; words never contain it."""
# First character of a pair that starts with a digit; words never contain it.
_DIGIT_MARK = "¦"

# Default_Ignorable of Unicode, such as soft hyphens, joiners and variation selectors, except
# U+200B: it separates words.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Line breaks, or places for them, within text without spaces.
_BREAKS = re.compile("[\u200b\r\n\u2028]")
# The letters i with a dot, without one, and with two count as the same letter.
_DOTTED = str.maketrans("\u0131", "i")
_DOT_ABOVE = "i\u0307"
# The longest ligature of letters has four; U+FDFA, a phrase, has 18.
_MAX_ORDINARY = 4
# First and last characters of scripts without spaces between words, and of Hangul, whose words end
# in particles. They include the classes SA, ID, AK and AS of UAX #14.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul letters
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A00, 0x1AAF),  # Buginese, Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x1BC0, 0x1BFF),  # Batak
    (0x3005, 0x3007),  # iteration mark and zero of Han
    (0x3031, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x3131, 0x31FF),  # Hangul letters, Bopomofo, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xA000, 0xA4CF),  # Yi
    (0xA930, 0xA97F),  # Rejang, Hangul letters
    (0xA980, 0xA9FF),  # Javanese, Myanmar
    (0xAA00, 0xAADF),  # Cham, Myanmar, Tai Viet
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),  # Han
    (0x11000, 0x1107F),  # Brahmi
    (0x11300, 0x113FF),  # Grantha, Tulu-Tigalari
    (0x116D0, 0x1174F),  # Myanmar, Ahom
    (0x11900, 0x1195F),  # Dives Akuru
    (0x11EE0, 0x11F5F),  # Makasar, Kawi
    (0x12000, 0x1467F),  # Cuneiform, hieroglyphs
    (0x16FE0, 0x18DFF),  # Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # Kana, Nushu
    (0x20000, 0x3FFFF),  # Han
)
_FIRSTS = [first for first, _ in _UNSPACED]
_LASTS = [last for _, last in _UNSPACED]
# Patterns on kinds (see `_kind`): letters and digits with their marks, or a single number.
_WORD = re.compile("[wd][wdm]*|nm*")
# Characters of an unspaced script, with digits among them.
_UNSPACED_RUN = re.compile("[ud][udm]*")
_ASCII_WORD = re.compile("[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Term:
    """Index term: a word, or two characters of an unspaced script; prefixes match longer terms."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class WordQuery:
    """Parsed words of a query.

    Attributes:
        terms: Index terms that every matching task has; other tasks may have them, too.
        pieces: Substrings of the searched text; a task matches if its text contains all of them.
    """

    terms: tuple[Term, ...]
    pieces: tuple[str, ...]


def fold(text: str) -> str:
    """Normalize case, width, ligatures and joiners, which a search ignores."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFC", limit_marks(_IGNORED.sub("", text)))
    if not unicodedata.is_normalized("NFKC", plain):
        plain = "".join(map(_compatible, plain))
    # Decomposed first, as Unicode defines caseless matching (D145).
    folded = unicodedata.normalize("NFD", limit_marks(plain)).casefold()
    folded = folded.replace(_DOT_ABOVE, "i").translate(_DOTTED)
    return unicodedata.normalize("NFC", folded)


def render_searched(owner: str, title: str, description: str | None) -> str:
    """Return the searched text of a task: its words, separated by spaces."""
    return join_words(owner, render_words(title), render_words(description or ""))


def render_words(text: str) -> str:
    """Return the words of a text, separated by spaces; the costly part of `render_searched`."""
    return " ".join(_split(text))


def join_words(owner: str, title_words: str, description_words: str) -> str:
    """Return the searched text of a task: title, owner's term, description.

    The owner's term separates the tasks of different owners in the index.
    """
    return f" {' '.join(filter(None, (title_words, owner_term(owner), description_words)))} "


@lru_cache(1024)
def owner_term(owner: str) -> str:
    """Return the index term of an owner."""
    return OWNER_MARK + hashlib.sha256(owner.encode()).hexdigest()[:32]


def parse_query(query: str) -> WordQuery | None:
    """Parse a query; return None if it contains no words."""
    runs = _find_runs(query, is_query=True)[:MAX_WORDS]
    if not runs:
        return None
    terms: list[Term] = []
    pieces: list[str] = []
    for number, (run, is_unspaced) in enumerate(runs, 1):
        if is_unspaced and len(run) > 1:
            # The last character is left out, because it could start any pair.
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
    """Return the pairs of neighboring characters, and the last character.

    _DIGIT_MARK starts a pair with a leading digit, so that `1` does not find `21月`.
    """
    pairs = (run[start : start + 2] for start in range(len(run)))
    return [f"{_DIGIT_MARK}{pair}" if _kind(pair[0]) == "d" else pair for pair in pairs]


def _find_runs(text: str, *, is_query: bool = False) -> list[tuple[str, bool]]:
    """Return the words of a text, and whether each is a run of an unspaced script.

    A number within such a run is part of the run, so that `6年` finds `2026年`. In searched text
    the number is also a separate word, so that `2026` finds it too.
    """
    folded = fold(text)
    if folded.isascii():
        return [(word[:MAX_WORD_LENGTH], False) for word in _ASCII_WORD.findall(folded)]
    kinds = "".join(map(_kind, folded))
    spans = _find_unspaced(folded, kinds, is_query=is_query)
    found = [(start, 1, _BREAKS.sub("", folded[start:end])) for start, end in spans]
    if not is_query:
        # A number may have spaces around it or not.
        found = [(start, place, "".join(run.split())) for start, place, run in found]
    firsts = [start for start, _ in spans]
    for match in _WORD.finditer(kinds):
        start, end = match.span()
        around = bisect_right(firsts, start) - 1
        is_inside = around >= 0 and end <= spans[around][1]
        if not (is_query and is_inside):
            found.append((start, 0, folded[start:end][:MAX_WORD_LENGTH]))
    return [(run, place == 1) for _, place, run in sorted(found)]


def _find_unspaced(folded: str, kinds: str, *, is_query: bool) -> list[tuple[int, int]]:
    """Return the start and end of each run of unspaced scripts, joined across line breaks."""
    spans: list[tuple[int, int]] = []
    last_kind = ""
    for match in _UNSPACED_RUN.finditer(kinds):
        start, end = match.span()
        gap = folded[spans[-1][1] : start] if spans else ""
        sides = last_kind + kinds[start]
        last_kind = match[0].rstrip("m")[-1]
        is_broken = sides == "uu" and not _BREAKS.sub("", gap)
        is_number = sides in {"ud", "du"} and len(gap) == 1 and gap.isspace()
        if gap and (is_broken or (is_number and not is_query)):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [(start, end) for start, end in spans if "u" in kinds[start:end]]


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
    if place >= 0 and ord(char) <= _LASTS[place]:
        return "u"
    return "d" if category == "Nd" else "w"


@lru_cache(8192)
def _compatible(char: str) -> str:
    """Return the NFKC form of a letter or digit, but not of numbers such as `½` and `²`.

    A character that represents a phrase is kept, which limits the length of the searched text.
    """
    if _kind(char) in {" ", "n"}:
        return char
    ordinary = unicodedata.normalize("NFKC", char)
    return ordinary if len(ordinary) <= _MAX_ORDINARY else char
