"""The parser of quick add."""

import re
from collections.abc import Collection
from datetime import date, datetime, timedelta, tzinfo

from todo.quickadd.result import MAX_TEXT, Kind, Priority, QuickAdd, Span
from todo.schedule.rule import read_rule
from todo.schedule.series import Basis

_PRIORITIES: dict[str, Priority] = {"p1": "high", "p2": "medium", "p3": "low", "p4": "none"}
_DAYS = {"today": 0, "tod": 0, "tomorrow": 1, "tmr": 1}
_MARK = re.compile(r"[#@][\w-]+")


def parse_quick_add(
    text: str, now: datetime, zone: tzinfo, list_names: Collection[str] = ()
) -> QuickAdd:
    """Read the fields of a task from one line of text.

    Args:
        text: The line, at most 1,000 characters.
        now: The present instant.
        zone: The zone of the user.
        list_names: The names of the lists that the user can write to.

    Raises:
        ValueError: The text is too long.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"must not be longer than {MAX_TEXT} characters; shorten it")
    lists = {name.casefold(): name for name in list_names}
    due_date: date | None = None
    list_name: str | None = None
    priority: Priority = "none"
    tags: list[str] = []
    spans: list[Span] = []
    rest: list[str] = []
    for match in re.finditer(r"\S+", text):
        word = match[0].casefold()
        kind: Kind | None = None
        if word in _DAYS and due_date is None:
            kind = "due"
            due_date = now.astimezone(zone).date() + timedelta(days=_DAYS[word])
        elif word in _PRIORITIES:
            kind, priority = "priority", _PRIORITIES[word]
        elif _MARK.fullmatch(word) and word[0] == "#" and word[1:] in lists:
            kind, list_name = "list", lists[word[1:]]
        elif _MARK.fullmatch(word):
            kind = "tag"
            tags.append(match[0][1:])
        if kind is None:
            rest.append(match[0])
        else:
            spans.append(Span(match.start(), match.end(), kind))
    return QuickAdd(
        title=" ".join(rest),
        due_date=due_date,
        priority=priority,
        tags=tuple(dict.fromkeys(tags)),
        list_name=list_name,
        spans=tuple(spans),
    )


def parse_due(text: str, now: datetime, zone: tzinfo) -> date | datetime:
    """Read a due, in words or in ISO 8601; the text must not have anything else.

    Args:
        text: The due.
        now: The present instant.
        zone: The zone of the user.

    Raises:
        ValueError: It is not a due; the message has a remedy.
    """
    found = parse_quick_add(text, now, zone)
    due = found.due_at or found.due_date
    if due is None or found.title:
        raise ValueError("not a due; write, for example, tomorrow 17:00 or 2027-03-15")
    return due


def parse_recurrence(text: str, now: datetime, zone: tzinfo) -> tuple[str, Basis]:
    """Read a recurrence, in words or as an RRULE; the text must not have anything else.

    Args:
        text: The recurrence.
        now: The present instant.
        zone: The zone of the user.

    Raises:
        ValueError: It is not a recurrence; the message has a remedy.
    """
    del now, zone
    return str(read_rule(text)), "schedule"
