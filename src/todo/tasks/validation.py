"""Validation of tasks: defaults of a new task, permitted due times and rules."""

import time
from datetime import date, datetime
from typing import Any

from todo.core.ids import new_uuid7
from todo.core.timestamps import format_timestamp
from todo.core.validation_errors import field_error
from todo.schedule.due import EARLIEST, LATEST, check_zone
from todo.tasks.document import Document
from todo.tasks.recurrence import normalize_rule


def new_image(fields: dict[str, Any], owner: str, at: str) -> Document:
    """Return a new task with the fields that are given, in no list and below none."""
    document: Document = {
        "id": str(new_uuid7()),
        "owner": owner,
        "list_id": None,
        "parent_id": None,
        "title": fields["title"],
        "description": None,
        "priority": "none",
        "tags": [],
        "due_date": None,
        "due_at": None,
        "due_zone": None,
        "recurrence": None,
        "recurrence_from": "schedule",
        "reminders": [],
        # After all others: new ones are later.
        "position": round(time.time(), 3),
        "is_completed": False,
        "completed_at": None,
        "created_at": at,
        "updated_at": at,
        "previous_id": None,
        "version": 1,
    }
    placed = {"list_id", "parent_id"}
    given = {k: v for k, v in fields.items() if k not in placed}
    if given.get("position", 0) is None:
        del given["position"]
    return document | given


def needs_account(document: Document) -> bool:
    """Whether the task depends on the zone of its owner."""
    return (
        document["recurrence"] is not None
        or document["due_date"] is not None
        or (document["due_at"] is not None)
    )


def validate_due(document: Document, account_zone: str) -> None:
    """Check due time, zone and rule, and write each in its one form.

    Raises:
        ValidationFailedError: One of them is not acceptable.
    """
    day, at = document["due_date"], document["due_at"]
    if day is not None and not EARLIEST <= date.fromisoformat(day) <= LATEST:
        raise field_error("due_date", f"must be from {EARLIEST} to {LATEST}")
    if at is None:
        if document["due_zone"] is not None:
            raise field_error("due_zone", "requires due_at")
    else:
        instant = datetime.fromisoformat(at)
        if not EARLIEST.year < instant.year < LATEST.year:
            raise field_error("due_at", f"must be after {EARLIEST} and before {LATEST}")
        document["due_at"] = format_timestamp(instant)
        zone = document["due_zone"] or account_zone
        try:
            check_zone(zone)
        except ValueError as error:
            raise field_error("due_zone", str(error)) from None
        document["due_zone"] = zone
    if document["recurrence"] is not None:
        try:
            document["recurrence"] = normalize_rule(document)
        except ValueError as error:
            raise field_error("recurrence", str(error)) from None
