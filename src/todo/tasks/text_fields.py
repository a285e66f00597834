"""Normalization of the texts of tasks and lists to NFC (`todo.text.normalization`)."""

from todo.core.domain import Task, TaskList
from todo.db.tables import DESCRIPTION_LENGTH, LIST_NAME_LENGTH, TAG_LENGTH, TITLE_LENGTH
from todo.text.normalization import normalize_text


def normalize_task(task: Task) -> Task:
    """Return a task with its texts in NFC and without duplicate tags."""
    description = task["description"]
    return task | {
        "title": normalize_text(task["title"], TITLE_LENGTH),
        "description": description and normalize_text(description, DESCRIPTION_LENGTH),
        "tags": list(dict.fromkeys(normalize_text(tag, TAG_LENGTH) for tag in task["tags"])),
    }


def normalize_list(task_list: TaskList) -> TaskList:
    """Return a list with its name in NFC."""
    return task_list | {"name": normalize_text(task_list["name"], LIST_NAME_LENGTH)}
