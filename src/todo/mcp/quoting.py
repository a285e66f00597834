"""Quoting of user texts, so that a model sees where they start and end.

A title can contain line breaks, control characters, and characters that are invisible or change the
text direction. Unquoted, it could look like another line of the result or hide text that only a
model reads.
"""

import json
import unicodedata
from collections.abc import Iterator

# Control, format (bidirectional marks, tags), line and paragraph separators, private use.
_HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Co", "Cs"}
# Default_Ignorable_Code_Point in other categories: the grapheme joiner, Hangul fillers, inherent
# Khmer vowels, variation selectors.
_IGNORED = frozenset(
    map(
        chr,
        [
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2065, 0x3164),
            *(*range(0xFE00, 0xFE10), 0xFFA0, *range(0xFFF0, 0xFFF9)),
        ],
    )
)
# Unassigned characters below this plane are displayed (new emoji); from here on, they are ignored.
_IGNORED_PLANE = "\U000e0000"
# Joins the parts of an emoji or letters of Indic scripts.
_ZERO_WIDTH_JOINER = "\u200d"
# Selects the colored form of a character.
_EMOJI_STYLE = "\ufe0f"
# Emoji outside of the symbol categories, besides the skin tones.
_OTHER_EMOJI = frozenset("0123456789#*\u203c\u2049\u2139\u3030")
_SYMBOLS = {"So", "Sm"}
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")
_VIRAMA = 9
_QUOTES = ('"', "\\")


def quote(text: str, limit: int) -> str:
    """Return a text as a one-line JSON string of printable characters.

    A text with more than `limit` characters, escapes included, is cut and followed by its length.
    """
    if len(text) <= limit and text.isascii():
        quoted = json.dumps(text)
        if len(quoted) <= limit + 2:
            return quoted
    kept: list[str] = []
    left = limit
    for piece in _escape(text[: limit + 1]):
        kept.append(f"\\{piece}" if piece in _QUOTES else piece)
        left -= len(kept[-1])
        if left < 0:
            return f'"{"".join(kept[:-1])}…" ({len(text)} characters)'
    return f'"{"".join(kept)}"'


def render_json(value: object) -> str:
    """Return a value as one line of JSON with printable characters only."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return plain if plain.isascii() else "".join(_escape(plain))


def escape(text: str) -> str:
    """Return a message that may contain user text as one line of printable characters."""
    return text if text.isascii() and text.isprintable() else "".join(_escape(text))


def cut(text: str, limit: int) -> str:
    """Return a text; a longer one than the limit is cut and ends with an ellipsis."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def _escape(text: str) -> Iterator[str]:
    """Yield the characters of a text, invisible ones as JSON escapes."""
    before = ""
    for character in text:
        is_shown = not _is_hidden(character) or _is_joined(character, before)
        yield character if is_shown else json.dumps(character)[1:-1]
        before = character if is_shown else ""


def _is_hidden(character: str) -> bool:
    return (
        character >= _IGNORED_PLANE
        or character in _IGNORED
        or unicodedata.category(character) in _HIDDEN
    )


def _is_joined(character: str, before: str) -> bool:
    """Return whether an invisible character changes how the previous one is displayed."""
    if character == _ZERO_WIDTH_JOINER:
        is_styled = before == _EMOJI_STYLE or _SKIN_TONES[0] <= before <= _SKIN_TONES[1]
        return is_styled or _is_emoji(before) or unicodedata.combining(before or " ") == _VIRAMA
    return character == _EMOJI_STYLE and _is_emoji(before)


def _is_emoji(character: str) -> bool:
    if character.isascii():
        return character in _OTHER_EMOJI
    return character in _OTHER_EMOJI or unicodedata.category(character) in _SYMBOLS
