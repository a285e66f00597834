"""Quoting of texts that users wrote: a model must see where they begin and end.

A title can contain line breaks, control characters, or characters that change the direction of text
or are not displayed. Unquoted it could look like another line of the result.
"""

import json
import unicodedata

# Control and format characters (bidirectional marks, tags), separators of lines and paragraphs,
# private use.
_HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Co", "Cs"}
# Unassigned characters are displayed below this plane (new emoji), and ignored in it.
_IGNORED_PLANE = "\U000e0000"
# Joins the parts of an emoji, or letters of Indic scripts; it hides nothing.
_ZERO_WIDTH_JOINER = "\u200d"


def quote(text: str, limit: int) -> str:
    """Return a text as a JSON string of printable characters in one line, cut at a limit.

    Args:
        text: The text.
        limit: Maximum length between the quotes, escapes included.
    """
    quoted = render_json(text[:limit])[1:-1]
    if len(quoted) <= limit and len(text) <= limit:
        return f'"{quoted}"'
    kept = 0
    for character in text:
        length = len(render_json(character)) - 2
        if kept + length > limit:
            break
        kept += length
    return f'"{quoted[:kept]}…" ({len(text)} characters)'


def render_json(value: object) -> str:
    """Return a value as JSON of printable characters in one line."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return plain if plain.isascii() else "".join(map(_escape, plain))


def escape(text: str) -> str:
    """Return a text of this program, in which a user's may be, as one line that is printable."""
    return text if text.isascii() and text.isprintable() else "".join(map(_escape, text))


def cut(text: str, limit: int) -> str:
    """Return a text, or its beginning with an ellipsis."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def _escape(character: str) -> str:
    is_hidden = character >= _IGNORED_PLANE or unicodedata.category(character) in _HIDDEN
    if not is_hidden or character == _ZERO_WIDTH_JOINER:
        return character
    return json.dumps(character)[1:-1]
