"""The one form of texts: Normalization Form C of Unicode (docs/adr/0060).

A letter with a mark can be written in two ways that look the same. What people name and find things
by is compared as text, so it is stored and compared in one of them.
"""

import unicodedata
from typing import Any

from todo.models import DESCRIPTION_LENGTH, LIST_NAME_LENGTH, TAG_LENGTH, TITLE_LENGTH


def normalize_input(given: Any) -> Any:  # noqa: ANN401 - whatever a caller sent
    """Return a text in its one form, and anything else as it is; for validators."""
    return unicodedata.normalize("NFC", given) if isinstance(given, str) else given


def normalize_text(text: str, limit: int) -> str:
    """Return a text in its one form, or as it is where that would be longer than a limit.

    A few letters are two characters in the one form.
    """
    normalized = unicodedata.normalize("NFC", text)
    return normalized if len(normalized) <= limit else text


def normalize_task(image: dict[str, Any]) -> dict[str, Any]:
    """Return a task with its texts in their one form, and no tag twice."""
    description = image["description"]
    return image | {
        "title": normalize_text(image["title"], TITLE_LENGTH),
        "description": description and normalize_text(description, DESCRIPTION_LENGTH),
        "tags": list(dict.fromkeys(normalize_text(tag, TAG_LENGTH) for tag in image["tags"])),
    }


def normalize_list(image: dict[str, Any]) -> dict[str, Any]:
    """Return a list with its name in its one form."""
    return image | {"name": normalize_text(image["name"], LIST_NAME_LENGTH)}
