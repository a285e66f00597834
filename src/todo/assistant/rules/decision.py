"""The decision of the assistant about one message: what is meant, and which tasks.

Rules make decisions without a model (`rules.py`); a model may make those that the rules leave open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

_TaskIntent = Literal["add", "find", "complete", "reopen", "delete", "reschedule", "update"]
Intent = Literal[_TaskIntent, "undo", "confirm", "decline", "help"]
ModelIntent = Literal[_TaskIntent, "none"]
"""Intents that a model may choose: only rules undo, confirm and decline."""


@dataclass(frozen=True, slots=True)
class TaskName:
    """Properties of a task by which a message can refer to it.

    Attributes:
        id: ID of the task.
        title: Title.
        version: Version, which a write expects.
        list_name: Name of its list, or None.
        is_completed: Whether it is completed.
        due: Due in ISO 8601, or None.
        is_shared: Whether its owner is another account, or its list has shares.
        reminders: Reminders in minutes before the due.
        owner: Owner; None for the person's own task.
        is_read_only: Whether the person cannot change it.
        is_of_named_list: Whether the name of its list is unique.
        is_chosen: Whether the person has confirmed this task in an answer.
        priority: Priority.
        tags: Tags.
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
    """Open tasks that the rules do not know, because their number is unlimited.

    Attributes:
        own: Number of the person's known own tasks, if there are more; otherwise 0.
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
        intent: What to do.
        text: add: the line for quick add, as typed; reschedule: the words of the new due; find: the
            words to search for; update: what remains.
        tasks: complete, reopen, delete, reschedule, update: the tasks that are meant.
        fields: update: title, priority, tags and others as the tool update_tasks has them; find:
            the arguments of the tool find_tasks.
        candidates: Several tasks fit: the answer lists them, and nothing changes.
        run_id: undo: the run that the message names, or None.
        affects_others: The message names a group, and others see some of it: the person has not
            named these one by one, and confirms the change.
        omitted: Tasks that the group of the message may have as well, and that are not changed.
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
        now: The present instant.
        zone: The zone of the user.
        list_names: The names of the lists that the user can write to.
        tasks: The open tasks, and those completed of late.
        open_plan: The operations of the plan of this conversation that waits for the person; None
            for no plan.
        read_only_lists: The names of the lists that the user can only read.
        omitted: The open tasks that are not among the tasks.
    """

    now: datetime
    zone: ZoneInfo
    list_names: tuple[str, ...]
    tasks: Sequence[TaskName]
    open_plan: frozenset[str] | None
    read_only_lists: tuple[str, ...] = ()
    omitted: Omitted = Omitted()
