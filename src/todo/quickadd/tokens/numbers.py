"""Recognizers of numbers in digits and in words."""

from fractions import Fraction
from typing import Final

from todo.quickadd.tokens.line import Line, Match, memoized
from todo.quickadd.vocabulary import CARDINALS, ORDINALS, TENS

SUFFIXES: Final = frozenset({"st", "nd", "rd", "th"})
_MAX_ORDINAL_DIGITS = 3


@memoized
def find_cardinal(line: Line, at: int) -> Match[int] | None:
    """Find a cardinal number such as `5`, `five`, `twenty five` or `twenty-five`."""
    if line.has_number(at):
        number = line.number(at)
        return Match(number, at + 1) if number >= 0 else None
    first = CARDINALS.get(line.words[at])
    if first is None:
        return None
    if line.words[at] in TENS:
        after = line.skip_attached(at + 1, "-")
        ones = CARDINALS.get(line.words[after], 0)
        if 1 <= ones <= 9:  # noqa: PLR2004 - ones
            return Match(first + ones, after + 1)
    return Match(first, at + 1)


@memoized
def find_ordinal(line: Line, at: int) -> Match[int] | None:
    """Find an ordinal number such as `15th`, `third`, `twenty first` or `twenty-first`."""
    if line.has_number(at):
        suffix = line[at + 1]
        if suffix.text not in SUFFIXES or suffix.is_spaced:
            return None
        return Match(line.number(at), at + 2) if line.digits(at) <= _MAX_ORDINAL_DIGITS else None
    word = line.words[at]
    if word in ORDINALS:
        return Match(ORDINALS[word], at + 1)
    if word in TENS:
        after = line.skip_attached(at + 1, "-")
        ones = ORDINALS.get(line.words[after], 0)
        if 1 <= ones <= 9:  # noqa: PLR2004 - ones
            return Match(TENS[word] + ones, after + 1)
    return None


def find_amount(line: Line, at: int) -> Match[Fraction] | None:
    """Find the amount of a unit of time: a number, `a`, `half a`, `a couple of`, `3/4`, `1.5`."""
    for words, amount in _AMOUNTS.get(line.words[at], ()):
        end = line.phrase(at, words)
        if end > 0:
            return Match(amount, end)
    if line.has_number(at):
        return _find_fraction(line, at)
    whole = find_cardinal(line, at)
    if whole is None:
        return None
    half = line.phrase(whole.end, "and a half")
    if half > 0:
        return Match(whole.value + Fraction(1, 2), half)
    return Match(Fraction(whole.value), whole.end)


def _find_fraction(line: Line, at: int) -> Match[Fraction] | None:
    number, below = line.number(at), line.number(at + 2)
    if number < 0:
        return None
    if not line[at + 1].is_spaced and not line[at + 2].is_spaced and below > 0:
        if line.words[at + 1] == "/":
            return Match(Fraction(number, below), at + 3)
        if line.words[at + 1] == ".":
            return Match(number + Fraction(below, 10 ** line.digits(at + 2)), at + 3)
    return Match(Fraction(number), at + 1)


# Longer phrases first, because several start with `a`.
_AMOUNTS = {
    "three": (
        ("three - quarters of an", Fraction(3, 4)),
        ("three quarters of an", Fraction(3, 4)),
    ),
    "quarter": (("quarter of an", Fraction(1, 4)),),
    "half": (
        ("half an", Fraction(1, 2)),
        ("half a", Fraction(1, 2)),
        ("half", Fraction(1, 2)),
    ),
    "a": (
        ("a quarter of an", Fraction(1, 4)),
        ("a couple of", Fraction(2)),
        ("a couple", Fraction(2)),
        ("a pair of", Fraction(2)),
        ("a few", Fraction(3)),
        ("a", Fraction(1)),
    ),
    "an": (("an", Fraction(1)),),
}
AMOUNT_STARTS: Final = frozenset({*_AMOUNTS, *CARDINALS})
