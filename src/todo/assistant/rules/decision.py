"""Decision of the assistant about one message: its intent and the tasks that it names.

Rules make decisions without a model (`engine.py`); a model may decide what the rules leave open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

_TaskIntent = Literal["add", "find", "complete", "reopen", "delete", "reschedule", "update"]
Intent = Literal[_TaskIntent, "undo", "confirm", "decline", "help"]
ModelIntent = Literal[_TaskIntent, "none"]
"""Intents that a model may choose; only rules undo, confirm and decline."""


@dataclass(frozen=True, slots=True)
class TaskName:
    """Task as the rules see it: what a message can refer to, and what a write needs.

    Attributes:
        version: Expected version, sent with a write.
        due: Due date or time in ISO 8601; None without one.
        is_shared: Whether the task belongs to another account, or its list is shared.
        reminders: Reminders in minutes before the due time.
        owner: Owner; None for the user's own task.
        is_read_only: Whether the user cannot change it.
        is_of_named_list: Whether the name of its list refers only to that list; the user's own list
            takes precedence over a shared one.
        is_chosen: Whether the user has confirmed this task in an answer.
    """

    id: str
    title: str
    version: int
    list_name: str | None
    is_completed: bool
    due: str | None
    is_shared: bool
    reminders: tuple[int, ...] = ()
    owner: str | None = None
    is_read_only: bool = False
    is_of_named_list: bool = True
    is_chosen: bool = field(default=False, compare=False)
    priority: str = "none"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Omitted:
    """Open tasks that the rules do not know, because a turn reads only a limited number.

    Attributes:
        own: Number of the user's known own tasks, if there are more; otherwise 0.
        lists: Names of other users' lists that have more tasks.
        of_list: Maximum number of known tasks of such a list.
    """

    own: int = 0
    lists: tuple[str, ...] = ()
    of_list: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Interpretation of a message.

    Attributes:
        text: add: quick-add line as typed; reschedule: words of the new due date; find: search
            words; help: kind of the answer.
        tasks: Tasks to complete, reopen, delete, reschedule or update.
        fields: update, find: arguments of the tool update_tasks or find_tasks; help: values for the
            text of the answer.
        candidates: Tasks that match equally well; the answer lists them, and nothing changes.
        run_id: undo: run that the message names, or None.
        affects_others: Whether the message names a group that includes tasks visible to others, so
            the user has to confirm the change.
        omitted: Unknown tasks that may belong to the named group and are not changed.
    """

    intent: Intent
    text: str = ""
    tasks: tuple[TaskName, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[TaskName, ...] = ()
    run_id: str | None = None
    affects_others: bool = False
    omitted: Omitted = Omitted()


@dataclass(frozen=True, slots=True)
class RuleContext:
    """Context of the rules besides the message.

    Attributes:
        list_names: Names of the lists that the user can write to.
        tasks: Open tasks, and recently completed ones.
        open_plan: Operations of the conversation's pending plan; None without a plan.
        read_only_lists: Names of the lists that the user can only read.
        omitted: Open tasks that are not among `tasks`.
    """

    now: datetime
    zone: ZoneInfo
    list_names: tuple[str, ...]
    tasks: Sequence[TaskName]
    open_plan: frozenset[str] | None
    read_only_lists: tuple[str, ...] = ()
    omitted: Omitted = Omitted()
