"""Guard that decides which changes of the assistant need the user's confirmation.

It checks the journal entries of a write within the transaction of that write, so it covers every
tool, and a manipulated model cannot bypass it. See docs/adr/0069.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from todo.assistant.turn.planned_operations import derive_operations, find_task
from todo.assistant.turn.shared_lists import fetch_shared_lists
from todo.core.domain import Task
from todo.tasks.batch import Operation
from todo.writes.hash_chain import Entry
from todo.writes.unit_of_work import UnitOfWork

MAX_CHANGED = 5
"""Maximum number of items that one turn changes without the user's confirmation."""

DELETES = "it deletes something"
MANY = f"it changes more than {MAX_CHANGED} tasks"
OF_OTHERS = "it changes what others see"

_Change = tuple[str, Entry]


class ConfirmationNeededError(Exception):
    """A write that the user has to confirm; nothing was committed.

    Attributes:
        reasons: Reasons for the confirmation, as texts for the user.
        operations: Changes of the write as operations of a plan.
    """

    def __init__(self, reasons: Sequence[str], operations: Sequence[Operation]) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = tuple(reasons)
        self.operations = tuple(operations)


class ForbiddenChangeError(Exception):
    """A write that the assistant must not make; nothing was committed."""


@dataclass(slots=True)
class Guard:
    """Guard of one turn.

    Attributes:
        by_model: Whether a model decides. Rules may write to shared lists that the user names.
        is_group: Whether the message names a group that includes tasks visible to others.
        changed: IDs of all items that the turn has changed.
        updates: Each updated task before and after the turn, by ID.
        max_changed: Maximum number of changed items without a confirmation.
    """

    by_model: bool
    is_group: bool = False
    changed: set[str] = field(default_factory=set)
    updates: dict[str, tuple[Task, Task]] = field(default_factory=dict)
    max_changed: int = MAX_CHANGED

    async def check(self, work: UnitOfWork) -> None:
        """Reject a write that the user has to confirm or the assistant must not make.

        Raises:
            ConfirmationNeededError: The user has to confirm the write.
            ForbiddenChangeError: The write changes anything but tasks.
        """
        recorded = list(work.recorded)
        if any(entry.kind != "task" for _, entry in recorded):
            raise ForbiddenChangeError
        changed = self.changed | {entry.entity_id for _, entry in recorded if _is_named(entry)}
        reasons = []
        if any(entry.operation == "delete" for _, entry in recorded):
            reasons.append(DELETES)
        if len(changed) > self.max_changed:
            reasons.append(MANY)
        if (self.by_model or self.is_group) and await _concerns_others(work, recorded):
            reasons.append(OF_OTHERS)
        if reasons:
            raise ConfirmationNeededError(reasons, derive_operations(recorded))
        # Only after the commit, because the write may be repeated after a conflict.
        work.after_commit(lambda: self._note(changed, recorded))

    def _note(self, changed: set[str], recorded: Iterable[_Change]) -> None:
        self.changed |= changed
        for _, entry in recorded:
            if entry.operation == "update":
                before, after = find_task(entry.before), find_task(entry.after)
                if before is not None and after is not None:
                    first, _ = self.updates.get(entry.entity_id, (before, after))
                    self.updates[entry.entity_id] = (first, after)


def _is_named(entry: Entry) -> bool:
    """Return whether an entry is a direct change, not the next occurrence of a series."""
    after = find_task(entry.after)
    return entry.operation != "create" or after is None or after["previous_id"] is None


async def _concerns_others(work: UnitOfWork, recorded: Iterable[_Change]) -> bool:
    """Return whether other users see a change, or another account's journal records it."""
    lists: set[str | None] = set()
    for owner, entry in recorded:
        if owner != work.caller.user:
            return True
        states = (find_task(entry.before), find_task(entry.after))
        lists |= {entry.list_id, *(task["list_id"] for task in states if task is not None)}
    lists.discard(None)
    return bool(lists) and not lists.isdisjoint(
        await fetch_shared_lists(work.session, work.caller.user)
    )
