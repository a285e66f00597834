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
    """A task as far as a message can name it.

    Attributes:
        id: The task.
        title: Its title.
        version: Its version, which a write expects.
        list_name: The name of its list, or None.
        is_completed: It is completed.
        due: Its due in ISO 8601, or None.
        is_shared: Its owner is another account, or its list has shares.
        reminders: When it reminds, in minutes before its due.
        owner: Whose it is; None for the person's own.
        is_read_only: The person cannot change it.
        is_of_named_list: The name of its list means no other list.
        is_chosen: The person has answered that this one is meant.
        priority: Its priority.
        tags: Its tags.
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
    """Open tasks that the rules do not know, since a person can have any number.

    Attributes:
        own: How many of the person's own tasks are known, if there are more; otherwise 0.
        lists: Names of lists of others that have more tasks.
        of_list: How many tasks of such a list are known at most.
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
