"""Conversion between tasks and the format of existing front ends.

These front ends know only some fields of a task and send all of them back. So an unchanged field
changes nothing: a rule that they show as `weekly` keeps its weekdays.
"""

from typing import TypedDict

import orjson

from todo.compat.due import is_shown, show_due, to_fields
from todo.compat.schemas import FrontEndCreate, FrontEndUpdate
from todo.core.domain import NewTask, Priority, Task, TaskChanges
from todo.schedule.rule import read_rule

DEFAULT_PRIORITY: Priority = "medium"


class FrontEndDocument(TypedDict):
    """A task in the format of existing front ends."""

    id: str
    user_id: str
    title: str
    description: str | None
    priority: Priority
    tags: list[str]
    due_date: str | None
    is_completed: bool
    completed: bool
    is_recurring: bool
    recurrence_pattern: str | None
    created_at: str
    updated_at: str


def show(task: Task) -> FrontEndDocument:
    """Return a task in the format of existing front ends."""
    pattern = _pattern(task)
    return {
        "id": task["id"],
        "user_id": task["owner"],
        "title": task["title"],
        "description": task["description"],
        "priority": _priority(task),
        "tags": task["tags"],
        "due_date": show_due(task),
        "is_completed": task["is_completed"],
        "completed": task["is_completed"],
        "is_recurring": pattern is not None,
        "recurrence_pattern": pattern,
        "created_at": task["created_at"],
        "updated_at": task["updated_at"],
    }


def render(task: Task) -> bytes:
    """Return a task as JSON in the format of existing front ends."""
    return orjson.dumps(show(task))


def read_new(body: FrontEndCreate, account_zone: str) -> tuple[NewTask, bool]:
    """Return the fields of a new task, and whether it is already completed."""
    due = to_fields(body.due_date, account_zone)
    fields: NewTask = {
        "title": body.title,
        "description": body.description,
        "priority": body.priority or DEFAULT_PRIORITY,
        "tags": body.tags,
        "due_date": due["due_date"],
        "due_at": due["due_at"],
        "due_zone": due["due_zone"],
        "recurrence": _read_rule(body, None),
    }
    return fields, True in body.states


def read_changes(body: FrontEndUpdate, task: Task, account_zone: str) -> TaskChanges:
    """Return the fields of a task that a form changes."""
    sent = body.model_fields_set
    changes: TaskChanges = {}
    if body.title is not None and body.title != task["title"]:
        changes["title"] = body.title
    if "description" in sent and body.description != (task["description"] or None):
        changes["description"] = body.description
    if "tags" in sent and body.tags != task["tags"]:
        changes["tags"] = body.tags
    if body.priority is not None and body.priority != _priority(task):
        changes["priority"] = body.priority
    if "due_date" in sent and not is_shown(task, body.due_date):
        changes = {**changes, **to_fields(body.due_date, account_zone)}
    if sent & {"is_recurring", "recurrence_pattern"}:
        rule = _read_rule(body, task["recurrence"])
        # The pattern shows only the frequency; sent back unchanged, it keeps the stored days.
        if rule not in {task["recurrence"], _as_rule(_pattern(task))}:
            changes["recurrence"] = rule
    if body.states:
        # A form with two state fields may change only one of them.
        done = task["is_completed"]
        changes["is_completed"] = (not done) if (not done) in body.states else done
    return changes


def _priority(task: Task) -> Priority:
    # These front ends know only three priorities.
    return DEFAULT_PRIORITY if task["priority"] == "none" else task["priority"]


def _pattern(task: Task) -> str | None:
    if task["recurrence"] is None:
        return None
    return read_rule(task["recurrence"]).frequency.lower()


def _read_rule(body: FrontEndCreate | FrontEndUpdate, stored: str | None) -> str | None:
    """Return the rule of a form; without a pattern, a ticked box keeps the stored rule."""
    if body.is_recurring is False:
        return None
    if "recurrence_pattern" in body.model_fields_set:
        return body.recurrence_pattern
    return stored


def _as_rule(pattern: str | None) -> str | None:
    return None if pattern is None else f"FREQ={pattern.upper()}"
