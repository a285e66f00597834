"""Texts about changed tasks: each changed field with its old and new value.

The old value lets a user recognize a wrong change.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from todo.core.domain import Task, TaskDue
from todo.mcp.quoting import cut, quote
from todo.mcp.tool import Json
from todo.mcp.tools.task_view import render_due
from todo.quickadd.words import describe_rule
from todo.schedule.due import check_zone
from todo.schedule.rule import read_rule
from todo.tasks.document import select_fields

ARROW = " \u2192 "
_Fields = Mapping[str, Any]
"""Fields of a task; documents of plans lack some of them."""
_NONE = "none"
_LENGTH = 100
"""Maximum length of a title or a list of tags."""
_DESCRIPTION_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates of a turn: first and last state of each updated task, and list names, by ID."""

    tasks: Mapping[str, tuple[Task, Task]] = field(default_factory=dict)
    list_names: Mapping[str, str] = field(default_factory=dict)

    def describe(self, task_id: str, zone: str) -> str | None:
        """Return a task's title and updates in one line of limited length; None without an update.

        Example: `"old title" → "new title" (priority none → high)`. Time zones are only included
        if they differ from `zone`, that of the account.
        """
        if task_id not in self.tasks:
            return None
        before, after = self.tasks[task_id]
        titles = (quote(each["title"], _LENGTH) for each in (before, after))
        name = ARROW.join(dict.fromkeys(titles))
        parts = FieldTexts(self._show_list, zone=zone).compare(before, after)
        return f"{name} ({', '.join(parts)})" if parts else name

    def _show_list(self, list_id: str) -> str:
        return quote(self.list_names.get(list_id, "unknown"), _LENGTH)


@dataclass(frozen=True, slots=True)
class FieldTexts:
    """Renderer of a task's fields, except for its title.

    Attributes:
        show_list: Function that returns the text of a list, given its ID.
        titles: Titles of tasks by ID, for the parent.
        zone: Time zone of the account; due times in other zones include theirs.
    """

    show_list: Callable[[str], str]
    titles: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    length: int = _LENGTH
    description_length: int = _DESCRIPTION_LENGTH

    def compare(self, before: _Fields, after: _Fields) -> list[str]:
        """Return each field that differs, with its old and new value."""
        return [
            _describe(label, show(before), show(after))
            for label, (names, show) in self._find_fields().items()
            if any(before.get(name) != after.get(name) for name in names)
        ]

    def name(self, task: _Fields, labels: Collection[str] | None = None) -> list[str]:
        """Return the non-empty fields with their values; `labels` restricts them to some fields."""
        return [
            f"{label} {shown}"
            for label, (_, show) in self._find_fields().items()
            if (labels is None or label in labels) and (shown := show(task)) != _NONE
        ]

    def _find_fields(self) -> dict[str, tuple[tuple[str, ...], Callable[[_Fields], str]]]:
        """Return, by label, each field's names in a document and the function that renders it."""
        return {
            "due": (("due_date", "due_at", "due_zone"), self._show_due),
            "repeats": (("recurrence", "recurrence_from"), _show_rule),
            "priority": (("priority",), lambda task: str(task["priority"])),
            "list": (("list_id",), self._show_place),
            "tags": (("tags",), lambda task: _quote(", ".join(task["tags"]), self.length)),
            "reminders": (("reminders",), lambda task: _show_reminders(task["reminders"])),
            "description": (
                ("description",),
                lambda task: _quote(task["description"], self.description_length),
            ),
            "task above": (("parent_id",), self._show_parent),
        }

    def _show_due(self, task: _Fields) -> str:
        due: TaskDue = select_fields(task, TaskDue.__annotations__)
        return _show_due(due, self.zone)

    def _show_place(self, task: _Fields) -> str:
        list_id = task.get("list_id")
        return _NONE if list_id is None else self.show_list(list_id)

    def _show_parent(self, task: _Fields) -> str:
        parent_id = task.get("parent_id")
        if parent_id is None:
            return _NONE
        title = self.titles.get(parent_id)
        return "another" if title is None else quote(title, self.length)


def describe_marks(task: Json) -> list[str]:
    """Return the priority, tags and reminders in a tool's result, if present."""
    parts = [f"priority {task['priority']}"] if "priority" in task else []
    if "tags" in task:
        parts.append(f"tags {_quote(', '.join(task['tags']))}")
    if "reminders" in task:
        parts.append(f"reminders {_show_reminders(task['reminders'])}")
    return parts


def _describe(label: str, old: str, new: str) -> str:
    # The difference may be in the part that is cut off.
    return f"{label} {old}{ARROW}{new}" if old != new else f"{label} changed"


def _show_due(task: TaskDue, zone: str = "") -> str:
    """Return a due date in words, with its time zone unless that is `zone`."""
    shown: Json = {}
    if task["due_date"] is not None:
        shown = {"due_date": task["due_date"]}
    elif task["due_at"] is not None:
        of_task = task["due_zone"] or zone
        at = datetime.fromisoformat(task["due_at"]).astimezone(check_zone(of_task))
        shown = {"due_at": at.isoformat(), "due_zone": of_task}
    return render_due(shown, zone) or _NONE


def _show_rule(task: _Fields) -> str:
    """Return the recurrence of a task in words."""
    if task["recurrence"] is None:
        return _NONE
    words = describe_rule(read_rule(task["recurrence"]), task["recurrence_from"])
    return cut(words, _LENGTH)


def _show_reminders(minutes: list[int]) -> str:
    before = ", ".join(str(each) for each in minutes if each > 0)
    after = ", ".join(str(-each) for each in minutes if each < 0)
    parts = (
        f"{before} min before" if before else "",
        "at the due time" if 0 in minutes else "",
        f"{after} min after" if after else "",
    )
    return ", ".join(filter(None, parts)) or _NONE


def _quote(text: str | None, length: int = _LENGTH) -> str:
    return quote(text, length) if text else _NONE
