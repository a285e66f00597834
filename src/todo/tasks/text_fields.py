"""Normalization of the texts of tasks and lists to NFC (`todo.text.normalization`)."""

from typing import Any

from todo.db.tables import DESCRIPTION_LENGTH, LIST_NAME_LENGTH, TAG_LENGTH, TITLE_LENGTH
from todo.text.normalization import normalize_text


def normalize_task(document: dict[str, Any]) -> dict[str, Any]:
    """Return a task with its texts in their one form, and no tag twice."""
    description = document["description"]
    return document | {
        "title": normalize_text(document["title"], TITLE_LENGTH),
        "description": description and normalize_text(description, DESCRIPTION_LENGTH),
        "tags": list(dict.fromkeys(normalize_text(tag, TAG_LENGTH) for tag in document["tags"])),
    }


def normalize_list(document: dict[str, Any]) -> dict[str, Any]:
    """Return a list with its name in its one form."""
    return document | {"name": normalize_text(document["name"], LIST_NAME_LENGTH)}
