"""Quoting of texts that users wrote: a model must see where they begin and end.

A title can contain line breaks, control characters, or characters that change the direction of text
or are not displayed. Unquoted it could look like another line of the result, or hide text that
only a model reads.
"""

import json
import unicodedata
from collections.abc import Iterator

# Control and format characters (bidirectional marks, tags), separators of lines and paragraphs,
# private use.
_HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Co", "Cs"}
# Of the other categories, what Unicode lets a font ignore (Default_Ignorable_Code_Point): the
# grapheme joiner, fillers of Hangul, inherent vowels of Khmer, variation selectors.
_IGNORED = frozenset(
    map(
        chr,
        [
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2065, 0x3164),
            *(*range(0xFE00, 0xFE10), 0xFFA0, *range(0xFFF0, 0xFFF9)),
        ],
    )
)
# Unassigned characters are displayed below this plane (new emoji), and ignored in it.
_IGNORED_PLANE = "\U000e0000"
# Joins the parts of an emoji, or letters of Indic scripts.
_ZERO_WIDTH_JOINER = "\u200d"
# Chooses the colored form of a character.
_EMOJI_STYLE = "\ufe0f"
# Emoji are symbols, except for these and the skin tones.
_OTHER_EMOJI = frozenset("0123456789#*\u203c\u2049\u2139\u3030")
_SYMBOLS = {"So", "Sm"}
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")
_VIRAMA = 9
_QUOTES = ('"', "\\")


def quote(text: str, limit: int) -> str:
    """Return a text as a JSON string of printable characters in one line, cut at a limit.

    Args:
        text: The text.
        limit: Maximum length between the quotes, escapes included.
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
    """Return a value as JSON of printable characters in one line."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return plain if plain.isascii() else "".join(_escape(plain))


def escape(text: str) -> str:
    """Return a text of this program, in which a user's may be, as one line that is printable."""
    return text if text.isascii() and text.isprintable() else "".join(_escape(text))


def cut(text: str, limit: int) -> str:
    """Return a text, or its beginning with an ellipsis."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def _escape(text: str) -> Iterator[str]:
    """Yield each character of a text, or its escape where it is not displayed."""
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
    """Return whether an invisible character changes the display of the one before it."""
    if character == _ZERO_WIDTH_JOINER:
        is_styled = before == _EMOJI_STYLE or _SKIN_TONES[0] <= before <= _SKIN_TONES[1]
        return is_styled or _is_emoji(before) or unicodedata.combining(before or " ") == _VIRAMA
    return character == _EMOJI_STYLE and _is_emoji(before)


def _is_emoji(character: str) -> bool:
    if character.isascii():
        return character in _OTHER_EMOJI
    return character in _OTHER_EMOJI or unicodedata.category(character) in _SYMBOLS
