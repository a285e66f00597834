"""Tasks that come again: between a task's image and the rules of recurrence."""

from datetime import datetime, tzinfo
from typing import Any

from todo.recurrence.rule import read_rule
from todo.recurrence.series import next_due, normalise, parse_rule
from todo.tasks.due import check_zone
from todo.tasks.record import Image, read_due


def settle_rule(image: Image) -> str:
    """Return a task's rule as it is stored with its due.

    Raises:
        ValueError: It is no rule, or never occurs.
    """
    day, at = read_due(image)
    rule = normalise(
        parse_rule(image["recurrence"]),
        due_date=day,
        due_at=at,
        due_zone=_zone(image),
        basis=image["recurrence_from"],
    )
    return str(rule)


def find_next(done: Image, completed_at: datetime, account_zone: tzinfo) -> dict[str, Any] | None:
    """Return what the task that follows a completed one has instead; None ends the series."""
    day, at = read_due(done)
    following = next_due(
        read_rule(done["recurrence"]),
        due_date=day,
        due_at=at,
        due_zone=_zone(done),
        basis=done["recurrence_from"],
        completed_at=completed_at,
        account_zone=account_zone,
    )
    if following is None:
        return None
    at = following.due_at
    return {
        "due_date": following.due_date and following.due_date.isoformat(),
        "due_at": at and at.isoformat(timespec="microseconds"),
        "recurrence": str(following.rule),
    }


def _zone(image: Image) -> tzinfo | None:
    return image["due_zone"] and check_zone(image["due_zone"])
