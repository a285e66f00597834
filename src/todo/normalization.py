"""The one form of texts: Normalization Form C of Unicode (docs/adr/0060).

A letter with a mark can be written in two ways that look the same. What people name and find things
by is compared as text, so it is stored and compared in one of them.
"""

import unicodedata
from typing import Any


def normalize_input(given: Any) -> Any:  # noqa: ANN401 - whatever a caller sent
    """Return a text in its one form, and anything else as it is; for validators."""
    return unicodedata.normalize("NFC", given) if isinstance(given, str) else given


def normalize_text(text: str, limit: int) -> str:
    """Return a text in its one form, or as it is where that would be longer than a limit.

    A few letters are two characters in the one form.
    """
    normalized = unicodedata.normalize("NFC", text)
    return normalized if len(normalized) <= limit else text
