"""Restoration of one task, list or share: current and target states, and SQL statements."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from todo.db.documents import parse_list, parse_share, parse_task
from todo.db.statement import BoundStatement
from todo.journal.undo_scope import UndoEntry
from todo.lists.repository import ListRepository
from todo.tasks.document import find_fire_times
from todo.tasks.repository import MAX_DEPTH, TaskRepository
from todo.writes.unit_of_work import Account, UnitOfWork


@dataclass(frozen=True, slots=True)
class Restore:
    """Restoration of one entity.

    Attributes:
        first: Earliest entry to be undone; the state before it is restored.
        last: Latest entry to be undone; the entity has not changed since.
    """

    first: UndoEntry
    last: UndoEntry

    @property
    def kind(self) -> str:
        """Kind of the entity."""
        return self.first.kind

    @property
    def id(self) -> str:
        """ID of the entity."""
        return self.first.entity_id

    @property
    def is_new(self) -> bool:
        """Whether the entity was deleted and is created again."""
        return self.last.after is None

    @property
    def current(self) -> str:
        """Current document, or the last one of a deleted entity."""
        return self.last.after or self.last.before or ""

    @property
    def target(self) -> str:
        """Restored document; empty if the undo deletes the entity."""
        return self.first.before or ""

    @property
    def target_list_id(self) -> str | None:
        """ID of the list in the restored document."""
        target = self.first.parse_before()
        return target["list_id"] if target is not None and "list_id" in target else None

    @property
    def target_parent_id(self) -> str | None:
        """ID of the parent in the restored document."""
        target = self.first.parse_before()
        return target["parent_id"] if target is not None and "parent_id" in target else None


class RestoredKind(NamedTuple):
    """Statements that restore and delete entities of one kind."""

    put: Callable[[UnitOfWork, Account, Restore], list[BoundStatement]]
    remove: Callable[[UnitOfWork, Restore], list[BoundStatement]]


def _put_task(work: UnitOfWork, account: Account, restoration: Restore) -> list[BoundStatement]:
    store = TaskRepository(work.session, work.caller)
    current, target = parse_task(restoration.current), parse_task(restoration.target)
    # A new version: an entity tag must never identify two states.
    target["version"] = current["version"] + 1
    times = find_fire_times(target, account.zone, work.now)
    if restoration.is_new:
        return store.add(target, times)
    return store.change(current, target, times)


def _remove_task(work: UnitOfWork, restoration: Restore) -> list[BoundStatement]:
    return [TaskRepository(work.session, work.caller).remove(restoration.id)]


def _put_list(work: UnitOfWork, _account: Account, restoration: Restore) -> list[BoundStatement]:
    store = ListRepository(work.session, work.caller)
    target = parse_list(restoration.target)
    target["version"] = parse_list(restoration.current)["version"] + 1
    put = store.add if restoration.is_new else store.change
    return [put(target)]


def _remove_list(work: UnitOfWork, restoration: Restore) -> list[BoundStatement]:
    return ListRepository(work.session, work.caller).remove(restoration.id)


def _put_share(work: UnitOfWork, _account: Account, restoration: Restore) -> list[BoundStatement]:
    return [ListRepository(work.session, work.caller).share(parse_share(restoration.target))]


def _remove_share(work: UnitOfWork, restoration: Restore) -> list[BoundStatement]:
    store = ListRepository(work.session, work.caller)
    return [store.unshare(restoration.first.list_id or "", restoration.id)]


KINDS = {
    "list": RestoredKind(_put_list, _remove_list),
    "share": RestoredKind(_put_share, _remove_share),
    "task": RestoredKind(_put_task, _remove_task),
}
"""Statements by kind, in the order of restoration; deletion is in reverse order."""
_ORDER = list(KINDS)


def sum_up(chosen: list[UndoEntry]) -> list[Restore]:
    """Return one restoration for each entity, in the order of their first entries."""
    found: dict[tuple[str, ...], Restore] = {}
    for entry in chosen:
        known = found.get(entry.entity)
        found[entry.entity] = Restore(known.first if known else entry, entry)
    return list(found.values())


def sort_above_first(restorations: list[Restore]) -> list[Restore]:
    """Sort restorations by kind (lists, shares, tasks), recreated entities and parents first."""
    parents = {
        each.id: parse_task(each.target or each.current)["parent_id"]
        for each in restorations
        if each.kind == "task"
    }

    def depth(task_id: str | None) -> int:
        deep = 0
        while task_id in parents and deep <= MAX_DEPTH:
            task_id = parents[task_id]
            deep += 1
        return deep

    return sorted(
        restorations,
        key=lambda each: (_ORDER.index(each.kind), not each.is_new, depth(each.id), each.first.seq),
    )
