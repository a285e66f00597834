"""Tokenizer: splits a line into words, numbers and single marks, with code point offsets."""

import enum
import functools
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from typing import Any, Concatenate, Final, Generic, NamedTuple, ParamSpec, TypeVar

from todo.quickadd.vocabulary import NUMBERED

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

_DIGITS = frozenset("0123456789")
_EM_DASH = "\u2014"
DASHES = frozenset("-\u2013")
_QUOTES = "\"'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
# Marks after which a word can start, or before which it can end, without a space.
_OPENING = frozenset("([{<,;\u2013\u2026" + _EM_DASH + _QUOTES)
_CLOSING = frozenset(")]}>,;.!?:\u2026" + _EM_DASH + _QUOTES)
APOSTROPHES = ("'", "\u2019")
_MAX_DIGITS = 6
# Maximum number of tokens that a recognizer inspects after a match.
_LOOK_AHEAD = 16


class TokenKind(enum.Enum):
    """Kind of a token."""

    WORD = enum.auto()
    NUMBER = enum.auto()
    MARK = enum.auto()
    TAKEN = enum.auto()
    """Part of the text that is literal or already recognized."""
    END = enum.auto()
    """Position after the end of the line."""


# Looked up once, because each token is compared with them many times.
_WORD, _NUMBER, _MARK = TokenKind.WORD, TokenKind.NUMBER, TokenKind.MARK
CONTENT: Final = (_WORD, _NUMBER)
_BORDERS = (TokenKind.TAKEN, TokenKind.END)


class Token(NamedTuple):
    """Token, as a half-open range of code points.

    Attributes:
        text: Text in lower case; empty for a taken part and after the end.
        number: Value of a number of at most six digits, otherwise -1.
        is_spaced: Whether a space or nothing precedes it.
    """

    start: int
    end: int
    text: str
    number: int
    is_spaced: bool
    kind: TokenKind


class Match(NamedTuple, Generic[T]):
    """Result of a recognizer: a value, and the index of the token after it."""

    value: T
    end: int


class Line:
    """Tokens of a text.

    Tokens before the start and after the end are empty, so recognizers need no bounds checks.

    Attributes:
        words: Text of each token.
        memory: Results of memoized recognizers, by recognizer and token.
    """

    def __init__(self, text: str, taken: Iterable[tuple[int, int]] = ()) -> None:
        """Split a text; each taken range becomes one token without text."""
        self.text = text
        self.memory: defaultdict[Any, dict[int, Any]] = defaultdict(dict)
        tokens = _split(text, taken)
        self._size = len(tokens)
        past = Token(len(text), len(text), "", -1, is_spaced=True, kind=TokenKind.END)
        self._tokens = [*tokens, *[past] * _LOOK_AHEAD]
        self.words = [token.text for token in self._tokens]
        self._different_words = set(self.words)
        contents = [at for at, token in enumerate(tokens) if token.kind in CONTENT]
        self._first_content = contents[0] if contents else self._size
        self._last_content = contents[-1] if contents else -1

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: int) -> Token:
        return self._tokens[at]

    def has_word(self, at: int) -> bool:
        """Return whether a token is a word."""
        return self._tokens[at].kind is _WORD

    def has_number(self, at: int) -> bool:
        """Return whether a token is a number in digits."""
        return self._tokens[at].kind is _NUMBER

    def number(self, at: int) -> int:
        """Return the value of a number token, otherwise -1."""
        return self._tokens[at].number

    def digits(self, at: int) -> int:
        """Return the number of digits; 0 if the token is not a number."""
        token = self._tokens[at]
        return token.end - token.start if token.kind is _NUMBER else 0

    def is_attached(self, at: int, text: str) -> bool:
        """Return whether a token has this text and no space before it."""
        token = self[at]
        return token.text == text and not token.is_spaced

    def skip(self, at: int, *words: str) -> int:
        """Return the next index if the token is one of these words, otherwise the given index."""
        return at + (self.words[at] in words)

    def skip_any(self, at: int, words: Container[str]) -> int:
        """Return the next index if the token is in a set of words, otherwise the given index."""
        return at + (self.words[at] in words)

    def skip_attached(self, at: int, text: str) -> int:
        """Return the next index if the token is this text without a space before it."""
        return at + self.is_attached(at, text)

    def starts(self, at: int) -> bool:
        """Return whether a word can start at a token."""
        token, before = self[at], self[at - 1]
        if token.is_spaced or before.kind in _BORDERS:
            return True
        if before.text not in _OPENING or before.kind is not _MARK:
            return False
        if before.text in APOSTROPHES or before.text in ",;":
            # The `t` of `don't` and the `194` of `1,194` do not start a word.
            return before.is_spaced or (before.text in ",;" and token.kind is _WORD)
        return True

    def ends(self, at: int) -> bool:
        """Return whether a word can end before a token."""
        token = self[at]
        if token.is_spaced or token.kind in _BORDERS:
            return True
        if token.kind is not _MARK or token.text not in _CLOSING:
            return False
        after = self[at + 1]
        if after.is_spaced or after.kind in (*_BORDERS, _MARK):
            return True
        return token.text == _EM_DASH or (token.text in ",;" and after.kind is _WORD)

    def is_numbered(self, at: int) -> bool:
        """Return whether a number belongs to the word before it, as in `page: 5`."""
        before = at - 1 - (self.words[at - 1] in {":", ".", "#"})
        before -= self.words[before] in {"is", "was"}
        return self.words[before] in NUMBERED

    def is_first(self, at: int) -> bool:
        """Return whether no word or number precedes a token."""
        return at <= self._first_content

    def is_last(self, at: int) -> bool:
        """Return whether no words or numbers are left from a token on."""
        return at > self._last_content

    def phrase(self, at: int, words: str) -> int:
        """Return the index of the token after these words, or -1 if they do not follow."""
        for each in _split_words(words):
            if self.words[at] != each:
                return -1
            at += 1
        return at

    def has_any(self, words: frozenset[str]) -> bool:
        """Return whether the line contains one of these words."""
        return not self._different_words.isdisjoint(words)


@functools.cache
def _split_words(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def memoized(
    find: Callable[Concatenate[Line, int, P], R],
) -> Callable[Concatenate[Line, int, P], R]:
    """Cache the results of a recognizer by token, so that the scan takes linear time.

    Further arguments must be the same for the whole line.
    """

    def look(line: Line, at: int, /, *args: P.args, **kwargs: P.kwargs) -> R:
        known: dict[int, R] = line.memory[find]
        if at in known:
            return known[at]
        found = known[at] = find(line, at, *args, **kwargs)
        return found

    return look


def _split(text: str, taken: Iterable[tuple[int, int]]) -> list[Token]:
    tokens: list[Token] = []
    begins = dict(taken)
    at, size, is_spaced = 0, len(text), True
    while at < size:
        char = text[at]
        if at in begins:
            end, kind = begins[at], TokenKind.TAKEN
        elif char.isspace():
            at, is_spaced = at + 1, True
            continue
        elif char in _DIGITS:
            end, kind = at + 1, _NUMBER
            while end < size and text[end] in _DIGITS and end not in begins:
                end += 1
        elif char.isalnum() or char == "_":
            end, kind = at + 1, _WORD
            while end < size and _continues_word(text[end]) and end not in begins:
                end += 1
        else:
            end, kind = at + 1, _MARK
        part = "" if kind is TokenKind.TAKEN else text[at:end].lower()
        number = int(part) if kind is _NUMBER and end - at <= _MAX_DIGITS else -1
        tokens.append(Token(at, end, part, number, is_spaced, kind))
        at, is_spaced = end, False
    return tokens


def _continues_word(char: str) -> bool:
    # A combining mark is neither a letter nor a number, and belongs to its letter.
    return char not in _DIGITS and (
        char.isalnum() or char == "_" or unicodedata.combining(char) > 0
    )
