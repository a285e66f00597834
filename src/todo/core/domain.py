"""Domain types: tasks, lists and shares, with the keys of their JSON documents.

They describe the dicts that `orjson.loads` returns, so a type costs nothing at runtime. All are
final, so that type checkers distinguish them by their keys.
"""

from typing import Literal, Required, TypedDict, final, get_args

Priority = Literal["none", "low", "medium", "high"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""Priorities in order of rank, the number that the database stores and sorts by."""
RecurrenceFrom = Literal["schedule", "completion"]
"""Starting point of the next occurrence of a task."""
ShareAccess = Literal["read", "write"]
"""Access that a share grants to the tasks of a list."""
Access = Literal["owner", "write", "read"]
"""A user's access to the tasks of a list."""


class TaskDue(TypedDict):
    """Due time of a task: a day, an instant in a time zone, or neither."""

    due_date: str | None
    due_at: str | None
    due_zone: str | None


class TaskRule(TaskDue):
    """Recurrence of a task, and the due time to which its rule applies."""

    recurrence: str | None
    recurrence_from: RecurrenceFrom


@final
class Task(TypedDict):
    """A task."""

    id: str
    owner: str
    list_id: str | None
    parent_id: str | None
    title: str
    description: str | None
    priority: Priority
    tags: list[str]
    due_date: str | None
    due_at: str | None
    due_zone: str | None
    recurrence: str | None
    recurrence_from: RecurrenceFrom
    reminders: list[int]
    position: float
    is_completed: bool
    completed_at: str | None
    created_at: str
    updated_at: str
    previous_id: str | None
    version: int


class _ListFields(TypedDict):
    id: str
    owner: str
    name: str
    position: float
    created_at: str
    updated_at: str
    version: int


@final
class TaskList(_ListFields):
    """A list of tasks."""


@final
class VisibleTaskList(_ListFields):
    """A list of tasks with the caller's access."""

    access: Access


@final
class Share(TypedDict):
    """A share: a user's access to another user's list."""

    list_id: str
    user_id: str
    access: ShareAccess
    created_at: str


Snapshot = Task | TaskList | Share
"""State of a task, list or share before or after a change, as stored in the journal."""


def get_name(snapshot: Snapshot) -> str:
    """Return the title of a task, the name of a list, or the user of a share."""
    if "title" in snapshot:
        return snapshot["title"]
    return snapshot["name"] if "name" in snapshot else snapshot["user_id"]


class TaskChanges(TypedDict, total=False):
    """Fields of a task that a request sets; absent ones keep their value."""

    title: str
    description: str | None
    priority: Priority
    tags: list[str]
    list_id: str | None
    parent_id: str | None
    due_date: str | None
    due_at: str | None
    due_zone: str | None
    recurrence: str | None
    recurrence_from: RecurrenceFrom
    reminders: list[int]
    position: float
    is_completed: bool


class NewTask(TypedDict, total=False):
    """Fields of a new task; absent ones have their default."""

    id: str
    title: Required[str]
    description: str | None
    priority: Priority
    tags: list[str]
    list_id: str | None
    parent_id: str | None
    due_date: str | None
    due_at: str | None
    due_zone: str | None
    recurrence: str | None
    recurrence_from: RecurrenceFrom
    reminders: list[int]
    position: float | None


class ListChanges(TypedDict, total=False):
    """Fields of a list that a request sets; absent ones keep their value."""

    name: str
    position: float


class NewList(TypedDict, total=False):
    """Fields of a new list; without a position, it comes after all others."""

    name: Required[str]
    position: float | None
