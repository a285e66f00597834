"""A task as a row: what the columns hold for a document."""

from datetime import date, datetime
from typing import Any

import orjson

from todo.core.timestamps import format_timestamp, is_timestamp
from todo.db.tables import NO_DUE, PRIORITIES, task
from todo.schedule.due import check_zone, due_key, fire_times
from todo.text.search_words import render_searched

Document = dict[str, Any]
"""A task as its document reads, with the keys of `todo.db.documents.TASK_FIELDS`."""

SEARCHED = ("owner", "title", "description")
"""Fields that the words of a task are made of."""
COLUMNS = tuple(column.name for column in task.columns)
_RANKS = {word: rank for rank, word in enumerate(PRIORITIES)}
_TIMES = ("due_at", "completed_at", "created_at", "updated_at")
_SAME = set(COLUMNS) - {"priority", "tags", "reminders", "due_key", "words", *_TIMES}


def to_row(document: Document, words: str | None = None) -> dict[str, Any]:
    """Return the value of each column.

    Args:
        document: The task.
        words: Those that it is found by, where they are known.
    """
    if words is None:
        words = render_searched(document["owner"], document["title"], document["description"])
    return {**to_row_without_words(document), "words": words}


def to_row_without_words(document: Document) -> dict[str, Any]:
    """Return the value of each column but `words`, which are costly to make."""
    row = {name: document[name] for name in _SAME}
    row |= {name: _in_one_form(document[name]) for name in _TIMES}
    row["priority"] = _RANKS[document["priority"]]
    row["tags"] = orjson.dumps(document["tags"]).decode()
    row["reminders"] = orjson.dumps(document["reminders"]).decode()
    key = due_key(*read_due(document))
    row["due_key"] = NO_DUE if key is None else format_timestamp(key)
    return row


def read_due(document: Document) -> tuple[date | None, datetime | None]:
    """Return the day and the instant at which a task is due; at most one is not None."""
    day, at = document["due_date"], document["due_at"]
    return day and date.fromisoformat(day), at and datetime.fromisoformat(at)


def _in_one_form(time: str | None) -> str | None:
    """Write a time as SQLite compares it; old entries of a journal may have fewer digits."""
    if time is None or is_timestamp(time):
        return time
    return format_timestamp(datetime.fromisoformat(time))


def read_rank(priority: str) -> int:
    """Return what the column holds for a priority's name."""
    return _RANKS[priority]


def find_fire_times(document: Document, account_zone: str, now: datetime) -> list[str]:
    """Return when to remind of a task from now on; of one that is done, never."""
    if not document["reminders"] or document["is_completed"]:
        return []
    day, at = read_due(document)
    times = fire_times(day, at, check_zone(account_zone), document["reminders"])
    # What is past was delivered, or nobody asked for it in time.
    return [format_timestamp(each) for each in times if each > now]


def as_bytes(document: bytes | str) -> bytes:
    """Return a document as bytes: SQLite hands out text."""
    return document if isinstance(document, bytes) else document.encode()


def parse_document(document: bytes) -> Document:
    """Return what a document says."""
    read: Document = orjson.loads(document)
    return read
