"""Validation of tasks: defaults of a new task, permitted due times and rules."""

import time
from datetime import date, datetime

from todo.core.domain import NewTask, Task
from todo.core.ids import new_uuid7
from todo.core.timestamps import format_timestamp
from todo.core.validation_errors import field_error
from todo.schedule.due import EARLIEST, LATEST, check_zone
from todo.tasks.recurrence import normalize_rule


def make_task(fields: NewTask, owner: str, at: str) -> Task:
    """Return a new task with the given fields, in no list and without a parent."""
    position = fields.get("position")
    return {
        "id": fields.get("id") or str(new_uuid7()),
        "owner": owner,
        "list_id": None,
        "parent_id": None,
        "title": fields["title"],
        "description": fields.get("description"),
        "priority": fields.get("priority", "none"),
        "tags": fields.get("tags", []),
        "due_date": fields.get("due_date"),
        "due_at": fields.get("due_at"),
        "due_zone": fields.get("due_zone"),
        "recurrence": fields.get("recurrence"),
        "recurrence_from": fields.get("recurrence_from", "schedule"),
        "reminders": fields.get("reminders", []),
        # The current time sorts new tasks after all others.
        "position": round(time.time(), 3) if position is None else position,
        "is_completed": False,
        "completed_at": None,
        "created_at": at,
        "updated_at": at,
        "previous_id": None,
        "version": 1,
    }


def needs_account(task: Task) -> bool:
    """Return whether a task depends on the time zone of its owner's account."""
    return (
        task["recurrence"] is not None or task["due_date"] is not None or task["due_at"] is not None
    )


def validate_due(task: Task, account_zone: str) -> None:
    """Validate the due date, due time, zone and rule of a task, and normalize them in place.

    Raises:
        ValidationFailedError: One of these fields is invalid.
    """
    day, at = task["due_date"], task["due_at"]
    if day is not None and not EARLIEST <= date.fromisoformat(day) <= LATEST:
        raise field_error("due_date", f"must be from {EARLIEST} to {LATEST}")
    if at is None:
        if task["due_zone"] is not None:
            raise field_error("due_zone", "requires due_at")
    else:
        instant = datetime.fromisoformat(at)
        if not EARLIEST.year < instant.year < LATEST.year:
            raise field_error("due_at", f"must be after {EARLIEST.year} and before {LATEST.year}")
        task["due_at"] = format_timestamp(instant)
        zone = task["due_zone"] or account_zone
        try:
            check_zone(zone)
        except ValueError as error:
            raise field_error("due_zone", str(error)) from None
        task["due_zone"] = zone
    recurrence = task["recurrence"]
    if recurrence is not None:
        try:
            task["recurrence"] = normalize_rule(recurrence, task)
        except ValueError as error:
            raise field_error("recurrence", str(error)) from None
