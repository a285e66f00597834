"""Conversion between a task's document and the form that existing front ends send and read.

They know only a part of a task, and send all of that part back. So a field that comes back
unchanged changes nothing: a rule that they show as `weekly` keeps its days.
"""

from typing import Any

import orjson

from todo.compat.due import is_shown, show_due, to_fields
from todo.compat.schemas import FrontEndCreate, FrontEndUpdate
from todo.schedule.rule import read_rule
from todo.tasks.document import Document

DEFAULT_PRIORITY = "medium"


def show(document: Document) -> dict[str, Any]:
    """Return a task as these front ends read it."""
    pattern = _pattern(document)
    return {
        "id": document["id"],
        "user_id": document["owner"],
        "title": document["title"],
        "description": document["description"],
        "priority": _priority(document),
        "tags": document["tags"],
        "due_date": show_due(document),
        "is_completed": document["is_completed"],
        "completed": document["is_completed"],
        "is_recurring": pattern is not None,
        "recurrence_pattern": pattern,
        "created_at": document["created_at"],
        "updated_at": document["updated_at"],
    }


def render(document: Document) -> bytes:
    """Return that as JSON."""
    return orjson.dumps(show(document))


def read_new(body: FrontEndCreate, account_zone: str) -> tuple[dict[str, Any], bool]:
    """Return the fields of a new task, and whether it is already done."""
    fields: dict[str, Any] = {
        "title": body.title,
        "description": body.description,
        "priority": body.priority or DEFAULT_PRIORITY,
        "tags": body.tags,
        **to_fields(body.due_date, account_zone),
        "recurrence": _read_rule(body, None),
    }
    return fields, True in body.states


def read_changes(body: FrontEndUpdate, document: Document, account_zone: str) -> dict[str, Any]:
    """Return what a form changes of a task."""
    sent = body.model_fields_set
    changes: dict[str, Any] = {}
    if body.title is not None and body.title != document["title"]:
        changes["title"] = body.title
    if "description" in sent and body.description != (document["description"] or None):
        changes["description"] = body.description
    if "tags" in sent and body.tags != document["tags"]:
        changes["tags"] = body.tags
    if body.priority is not None and body.priority != _priority(document):
        changes["priority"] = body.priority
    if "due_date" in sent and not is_shown(document, body.due_date):
        changes |= to_fields(body.due_date, account_zone)
    if sent & {"is_recurring", "recurrence_pattern"}:
        rule = _read_rule(body, document["recurrence"])
        # A pattern that is shown has lost its days; when it comes back they stay.
        if rule not in {document["recurrence"], _as_rule(_pattern(document))}:
            changes["recurrence"] = rule
    if body.states:
        # A form that shows the state in two fields may change only one of them.
        done: bool = document["is_completed"]
        changes["is_completed"] = (not done) if (not done) in body.states else done
    return changes


def _priority(document: Document) -> str:
    # These front ends know three.
    priority: str = document["priority"]
    return DEFAULT_PRIORITY if priority == "none" else priority


def _pattern(document: Document) -> str | None:
    if document["recurrence"] is None:
        return None
    return read_rule(document["recurrence"]).frequency.lower()


def _read_rule(body: FrontEndCreate | FrontEndUpdate, stored: str | None) -> str | None:
    """Return the rule that a form leads to: a box that is ticked without one means none."""
    if body.is_recurring is False:
        return None
    if "recurrence_pattern" in body.model_fields_set:
        return body.recurrence_pattern
    return stored


def _as_rule(pattern: str | None) -> str | None:
    return None if pattern is None else f"FREQ={pattern.upper()}"
