"""Conversion of task documents to column values."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import orjson

from todo.core.domain import PRIORITIES, Priority, Task, TaskDue
from todo.core.timestamps import format_timestamp, is_timestamp
from todo.db.tables import NO_DUE, task
from todo.schedule.due import check_zone, due_key, fire_times
from todo.text.search_words import render_searched

SEARCHED = ("owner", "title", "description")
"""Fields from which the search words of a task are computed."""
COLUMNS = tuple(column.name for column in task.columns)
_RANKS = {word: rank for rank, word in enumerate(PRIORITIES)}
_TIMES = ("due_at", "completed_at", "created_at", "updated_at")
_SAME = set(COLUMNS) - {"priority", "tags", "reminders", "due_key", "words", *_TIMES}


def to_row(stored: Task, words: str | None = None) -> dict[str, Any]:
    """Return the column values of a task; `words` are its search words, if known."""
    if words is None:
        words = render_searched(stored["owner"], stored["title"], stored["description"])
    return {**to_row_without_words(stored), "words": words}


def to_row_without_words(stored: Task) -> dict[str, Any]:
    """Return the column values of a task except `words`, which is expensive to compute."""
    fields: Mapping[str, Any] = stored
    row = {name: fields[name] for name in _SAME}
    row |= {name: _in_one_form(fields[name]) for name in _TIMES}
    row["priority"] = _RANKS[stored["priority"]]
    row["tags"] = orjson.dumps(stored["tags"]).decode()
    row["reminders"] = orjson.dumps(stored["reminders"]).decode()
    key = due_key(*read_due(stored))
    row["due_key"] = NO_DUE if key is None else format_timestamp(key)
    return row


def read_due(due: TaskDue) -> tuple[date | None, datetime | None]:
    """Return the due date and the due time of a task; at most one is not None."""
    day, at = due["due_date"], due["due_at"]
    return (
        None if day is None else date.fromisoformat(day),
        None if at is None else datetime.fromisoformat(at),
    )


def _in_one_form(time: str | None) -> str | None:
    """Return a time in the format that SQLite compares; old journal entries may use another one."""
    if time is None or is_timestamp(time):
        return time
    return format_timestamp(datetime.fromisoformat(time))


def has_other(one: Task, other: Task, names: Iterable[str]) -> bool:
    """Return whether two tasks differ in one of the given fields."""
    fields: Mapping[str, Any] = one
    others: Mapping[str, Any] = other
    return any(fields[name] != others[name] for name in names)


def select_fields(source: Mapping[str, Any], names: Iterable[str]) -> Any:  # noqa: ANN401 - the caller names its TypedDict
    """Return the named fields of a task, without those that are missing."""
    return {name: source[name] for name in names if name in source}


def read_rank(priority: Priority) -> int:
    """Return the column value of a priority."""
    return _RANKS[priority]


def find_fire_times(reminded: Task, account_zone: str, now: datetime) -> list[str]:
    """Return the future reminder times of a task; none for a completed task."""
    if not reminded["reminders"] or reminded["is_completed"]:
        return []
    day, at = read_due(reminded)
    times = fire_times(day, at, check_zone(account_zone), reminded["reminders"])
    # Past reminders were delivered, or were in the past when they were set.
    return [format_timestamp(each) for each in times if each > now]
