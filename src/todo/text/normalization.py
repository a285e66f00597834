"""Normalization of texts to NFC, and its cost (docs/adr/0060).

A letter with a mark can be written in two ways that look the same. What people name and find things
by is compared as text, so it is stored and compared in one of them.

Normalization sorts the combining marks of a letter, in quadratic time: half a million of them stop
the event loop for minutes. So runs of marks are limited first, as UAX #15 does for streams.
"""

import re
import unicodedata
from typing import Any

from pydantic import BeforeValidator

MAX_MARKS = 30
"""Maximum marks of a decomposed letter (UAX #15, Stream-Safe). No language needs ten."""

# The decomposition of one character in NFC has at most four characters.
_MAX_EXPANSION = 4
# Everything that may be a mark: no letter, no number, and in no block of punctuation or symbols.
_MARK = r"[^\w\x00-\u02ff\u2000-\u20cf\u2100-\u2cee\u3000-\u3029\u3030-\u3098\U0001f000-\U0001ffff]"
_OTHER = _MARK.replace("[^", "[", 1)
# These marks become two each.
_DOUBLE = {mark: unicodedata.normalize("NFD", mark) for mark in "\u0f73\u0f75\u0f81"}
# Possessive, so that each character is looked at once.
_LIMITED = re.compile(rf"(?:{_OTHER}*+{_MARK}{{1,{MAX_MARKS}}}+(?!{_MARK}))*+{_OTHER}*+")


def nfc_validator(max_length: int) -> BeforeValidator:
    """Return a validator that normalizes a text before its length is checked.

    It runs on whatever a client sent. A text that exceeds the limit in any form is not normalized,
    and fails the check of its length.

    Args:
        max_length: Maximum length of the text in NFC.
    """

    def normalize(given: Any) -> Any:  # noqa: ANN401 - whatever a client sent
        if not isinstance(given, str) or len(given.strip()) > max_length * _MAX_EXPANSION:
            return given
        if not has_limited_marks(given):
            raise ValueError(f"must have at most {MAX_MARKS} combining marks in a row")
        return unicodedata.normalize("NFC", given)

    return BeforeValidator(normalize)


def normalize_text(text: str, limit: int) -> str:
    """Return a text in NFC, or as it is where that is longer than a limit or too costly.

    A few letters are two characters in NFC. Texts with longer runs of marks are only in databases
    of earlier versions.
    """
    if len(text) > limit * _MAX_EXPANSION or not has_limited_marks(text):
        return text
    normalized = unicodedata.normalize("NFC", text)
    return normalized if len(normalized) <= limit else text


def has_limited_marks(text: str) -> bool:
    """Return whether no letter has more than `MAX_MARKS` combining marks, in linear time."""
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
    """Return a text without the marks that exceed `MAX_MARKS` of a letter, in linear time."""
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
