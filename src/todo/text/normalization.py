"""Normalization of text to NFC at a bounded cost (docs/adr/0060).

A letter with a mark can be encoded in two ways that look the same. Names and searched texts are
stored and compared in only one of them.

Normalization sorts the combining marks of a letter in quadratic time: half a million marks block
the event loop for minutes. So runs of marks are limited first, as UAX #15 does for streams.
"""

import re
import unicodedata
from typing import Any

from pydantic import BeforeValidator

MAX_MARKS = 30
"""Maximum number of marks on a letter (UAX #15, Stream-Safe). No language needs ten."""

# A character in NFC decomposes into at most four characters.
_MAX_EXPANSION = 4
# Characters that may be marks: no letters, no numbers, and no blocks of punctuation or symbols.
_MARK = r"[^\w\x00-\u02ff\u2000-\u20cf\u2100-\u2cee\u3000-\u3029\u3030-\u3098\U0001f000-\U0001ffff]"
_OTHER = _MARK.replace("[^", "[", 1)
# Marks that decompose into two marks.
_DOUBLE = {mark: unicodedata.normalize("NFD", mark) for mark in "\u0f73\u0f75\u0f81"}
# Possessive quantifiers, so that each character is matched only once.
_LIMITED = re.compile(rf"(?:{_OTHER}*+{_MARK}{{1,{MAX_MARKS}}}+(?!{_MARK}))*+{_OTHER}*+")


def nfc_validator(max_length: int) -> BeforeValidator:
    """Return a validator that normalizes text before its length is checked.

    Text that exceeds `max_length` in every form is not normalized and fails the length check.
    """

    def normalize(given: Any) -> Any:  # noqa: ANN401 - unvalidated JSON
        if not isinstance(given, str) or len(given.strip()) > max_length * _MAX_EXPANSION:
            return given
        if not has_limited_marks(given):
            raise ValueError(f"must have at most {MAX_MARKS} combining marks in a row")
        return unicodedata.normalize("NFC", given)

    return BeforeValidator(normalize)


def normalize_text(text: str, limit: int) -> str:
    """Return text in NFC, or unchanged if NFC exceeds the limit or is too costly.

    A few letters are two characters in NFC. Only databases of earlier versions contain text with
    longer runs of marks.
    """
    if len(text) > limit * _MAX_EXPANSION or not has_limited_marks(text):
        return text
    normalized = unicodedata.normalize("NFC", text)
    return normalized if len(normalized) <= limit else text


def has_limited_marks(text: str) -> bool:
    """Return whether every letter has at most `MAX_MARKS` combining marks, in linear time."""
    if text.isascii():
        return True
    for mark, decomposed in _DOUBLE.items():
        text = text.replace(mark, decomposed)
    if _LIMITED.fullmatch(text):
        return True
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run > MAX_MARKS:
            return False
    return True


def limit_marks(text: str) -> str:
    """Remove the marks of each letter after the first `MAX_MARKS`, in linear time."""
    if has_limited_marks(text):
        return text
    kept = []
    run = 0
    for char in text:
        marks = len(_DOUBLE[char]) if char in _DOUBLE else unicodedata.combining(char) > 0
        run = run + marks if marks else 0
        if run <= MAX_MARKS:
            kept.append(char)
    return "".join(kept)
