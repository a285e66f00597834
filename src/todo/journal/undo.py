"""Undo: restores tasks, lists and shares to an earlier state from the journal.

An undo is one transaction, all or nothing. It is rejected if the same entities were changed since,
or if their list or parent no longer exists: it would destroy more than it repairs. Its changes are
recorded as `restore`, so an undo can be undone like any other change.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import select

from todo.core.domain import Task
from todo.core.errors import NotFoundError, ReadOnlyError, UndoConflictError
from todo.db.documents import as_bytes, parse_snapshot, parse_task
from todo.db.statement import Statement, unnest_json
from todo.db.tables import Id, task, task_list
from todo.journal.current_documents import fetch_documents
from todo.journal.irreversible import UNDOABLE, describe, render, separate
from todo.journal.later_changes import find_later_changes
from todo.journal.repository import View
from todo.journal.restore import KINDS, Restore, sort_above_first, sum_up
from todo.journal.undo_scope import Run, UndoEntry, find_change, find_changes_by, find_run
from todo.tasks.repository import MAX_DEPTH, TaskRepository
from todo.tasks.service import measure_height
from todo.writes.unit_of_work import Account, UnitOfWork

MAX_CONFLICTS = 100

_parent = task.alias("parent")
_LISTS_THERE = Statement(
    lambda d: select(task_list.c.id).where(task_list.c.id.in_(unnest_json(d, "ids", Id)))
)
_TASKS_THERE = Statement(
    lambda d: select(task.c.id).where(task.c.id.in_(unnest_json(d, "ids", Id)))
)
_BELOW = Statement(
    lambda d: select(task.c.id, task.c.parent_id).where(
        task.c.parent_id.in_(unnest_json(d, "ids", Id))
    )
)
_IN_LISTS = Statement(
    lambda d: select(task.c.id, task.c.list_id).where(task.c.list_id.in_(unnest_json(d, "ids", Id)))
)


def _astray(which: Any) -> Statement:  # noqa: ANN401 - a column
    """Return the statement that finds tasks outside their parent's list, each with the parent."""
    return Statement(
        lambda d: (
            select(task.c.id, _parent.c.id)
            .select_from(task.join(_parent, _parent.c.id == task.c.parent_id))
            .where(
                which.in_(unnest_json(d, "ids", Id)),
                task.c.list_id.is_distinct_from(_parent.c.list_id),
            )
        )
    )


_ASTRAY_BELOW, _ASTRAY_ABOVE = _astray(task.c.id), _astray(_parent.c.id)


class Undo:
    """One undo, in the part of a journal that the caller sees, within one unit of work."""

    def __init__(self, work: UnitOfWork, view: View) -> None:
        self._work = work
        self._view = view
        self._conflicts: list[dict[str, str | int]] = []
        self._shown: list[bytes] = []
        self._documents: dict[tuple[str, str], bytes] = {}

    async def undo_change(self, seq: int, *, whole_request: bool = False) -> bytes:
        """Undo a change with its effects, or its whole request; return the new changes as JSON.

        Raises:
            NotFoundError: The change does not exist.
            ReadOnlyError: The list belongs to another user, and the caller may not change its
                tasks.
            ForbiddenError: The token lacks a scope that the undo needs.
            UndoConflictError: The undo conflicts with later changes; the caller must not commit.
            StateConflictError: The undo would revert more than MAX_ENTRIES changes.
        """
        account = await self._lock()
        session = self._work.session
        chosen = await find_change(session, self._view, seq, whole_request=whole_request)
        return await self._undo(account, chosen, [])

    async def undo_run(self, run: Run) -> bytes:
        """Undo all undoable changes of a run; see `undo_change`."""
        account = await self._lock()
        chosen = await find_run(self._work.session, self._view, run, self._work.caller)
        return await self._undo(account, *separate(chosen))

    async def undo_token(self, token_id: str) -> bytes:
        """Undo all undoable changes of a token; see `undo_change`."""
        account = await self._lock()
        chosen = await find_changes_by(self._work.session, self._view, token_id)
        return await self._undo(account, *separate(chosen))

    async def _lock(self) -> Account:
        account, _ = await self._work.lock(self._view.owner)
        if self._view.list_id is not None:
            store = TaskRepository(self._work.session, self._work.caller)
            found = await store.find_list(self._view.list_id)
            if found is None:
                raise NotFoundError
            if not found[1]:
                raise ReadOnlyError
        return account

    async def _undo(
        self, account: Account, chosen: list[UndoEntry], lasting: list[UndoEntry]
    ) -> bytes:
        self._refuse_kinds(chosen)
        session = self._work.session
        later = await find_later_changes(session, self._view.owner, chosen)
        wanted = [each for each in sum_up(later.wanted) if each.first.before or each.last.after]
        for entry, seq, operation in later.conflicts or ([] if wanted else later.undone):
            what = "was changed again" if later.conflicts else "is already undone"
            message = f"{what}: see entry {seq} ({operation})"
            self._add_conflict(entry, "changed-since", message, seq)
        self._raise_conflicts()
        self._require_scopes(wanted)
        back = [each for each in wanted if each.first.before]
        gone = [each for each in wanted if not each.first.before]
        await self._find_missing(back)
        self._raise_conflicts()
        things = [(each.kind, each.id) for each in wanted]
        self._documents = await fetch_documents(session, things)
        for restoration in sort_above_first(back):
            await self._put(account, restoration)
        await self._check_places([each for each in back if each.kind == "task"], gone)
        await self._find_stranded(gone)
        self._raise_conflicts()
        for restoration in reversed(sort_above_first(gone)):
            await self._remove(account, restoration)
        rest = b",".join(render(entry) for entry in lasting)
        return b'{"items":[%b],"not_undone":[%b]}' % (b",".join(self._shown), rest)

    def _refuse_kinds(self, chosen: list[UndoEntry]) -> None:
        for entry in chosen:
            if entry.operation == "remind":
                self._add_conflict(entry, "nothing-changed", "a reminder has nothing to undo")
            elif entry.kind not in UNDOABLE:
                self._add_conflict(entry, "not-undone", describe(entry))

    def _require_scopes(self, wanted: list[Restore]) -> None:
        caller = self._work.caller
        if any(not each.first.before for each in wanted):
            caller.require("delete")
        if any(each.kind == "share" for each in wanted):
            caller.require("admin")

    async def _find_missing(self, back: list[Restore]) -> None:
        """Add a conflict for each restored entity whose list or parent no longer exists."""
        lists = [(each, each.target_list_id) for each in back]
        parents = [(each, each.target_parent_id) for each in back]
        for what, places, statement in (
            ("list", lists, _LISTS_THERE),
            ("parent", parents, _TASKS_THERE),
        ):
            asked = {place for _, place in places if place is not None} - {each.id for each in back}
            found = {str(row[0]) for row in await self._fetch(statement, asked)}
            for each, place in places:
                if place in asked - found:
                    self._add_conflict(
                        each.first, f"{what}-gone", f"its {what} {place} no longer exists"
                    )

    async def _check_places(self, back: list[Restore], gone: list[Restore]) -> None:
        """Add a conflict for each task that is outside its parent's list or nested too deep."""
        ids = {each.id for each in back}
        # Tasks that the undo will delete still exist here, but do not conflict.
        going = {each.id for each in gone}
        astray = await self._fetch(_ASTRAY_BELOW, ids) + await self._fetch(_ASTRAY_ABOVE, ids)
        pairs = [{str(task_id), str(parent_id)} for task_id, parent_id in astray]
        apart = {each for pair in pairs if not pair & going for each in pair}
        store = TaskRepository(self._work.session, self._work.caller)
        for each in back:
            if each.id in apart:
                message = "would be in another list than its parent or its subtasks"
                self._add_conflict(each.first, "list-changed", message)
                continue
            parent_id, before = each.target_parent_id, parse_task(each.current)
            if parent_id is None or (not each.is_new and parent_id == before["parent_id"]):
                continue
            above = await store.find_ancestors(each.id)
            if len(above) <= MAX_DEPTH:
                below = _leave_out(going, map(parse_task, await store.find_subtree(each.id)))
                if len(above) + measure_height(each.id, below) <= MAX_DEPTH:
                    continue
            self._add_conflict(
                each.first, "too-deep", f"would be nested more than {MAX_DEPTH} levels deep"
            )

    async def _find_stranded(self, gone: list[Restore]) -> None:
        """Add a conflict for each task or list to be deleted that contains other tasks."""
        going = {each.id for each in gone}
        for kind, statement in (("task", _BELOW), ("list", _IN_LISTS)):
            places = {each.id: each for each in gone if each.kind == kind}
            for task_id, place in await self._fetch(statement, set(places)):
                if str(task_id) not in going:
                    message = f"the list now contains the task {task_id}"
                    self._add_conflict(places[str(place)].first, "in-use", message)

    async def _fetch(self, statement: Statement, ids: set[Any]) -> list[tuple[Any, ...]]:
        if not ids:
            return []
        values = {"ids": orjson.dumps(sorted(ids)).decode()}
        return await self._work.session.fetch(statement, values)

    async def _put(self, account: Account, restoration: Restore) -> None:
        calls = KINDS[restoration.kind].put(self._work, account, restoration)
        (rows, *_others) = await self._work.session.run(*calls)
        self._record(account, restoration, as_bytes(rows[0][0]))

    async def _remove(self, account: Account, restoration: Restore) -> None:
        calls = KINDS[restoration.kind].remove(self._work, restoration)
        await self._work.session.run(*calls)
        self._record(account, restoration, None)

    def _record(self, account: Account, restoration: Restore, after: bytes | None) -> None:
        before = self._documents.get((restoration.kind, restoration.id))
        if before is None and restoration.last.after is not None:
            before = restoration.last.after.encode()
        self._work.record(
            self._view.owner,
            "restore",
            restoration.kind,
            restoration.id,
            list_id=_find_list_id(restoration.kind, after or restoration.current),
            before=before,
            after=after,
        )
        self._shown.append(
            b'{"seq":%d,"at":"%b","operation":"restore","kind":"%b","id":%b,"after":%b}'
            % (
                account.seq + len(account.entries),
                self._work.timestamp.encode(),
                restoration.kind.encode(),
                orjson.dumps(restoration.id),
                after or b"null",
            )
        )

    def _add_conflict(
        self, entry: UndoEntry, code: str, message: str, seq: int | None = None
    ) -> None:
        self._conflicts.append(
            {
                "in": "journal",
                "field": f"{entry.kind}/{entry.entity_id}",
                "seq": seq or entry.seq,
                "code": code,
                "message": message,
            }
        )

    def _raise_conflicts(self) -> None:
        if self._conflicts:
            raise UndoConflictError(errors=self._conflicts[:MAX_CONFLICTS])


def _find_list_id(kind: str, document: bytes | str) -> str | None:
    """Return the list ID of a task or share, or the list's own ID."""
    snapshot = parse_snapshot(kind, document)
    if snapshot is None:
        return None
    return snapshot["list_id"] if "list_id" in snapshot else snapshot["id"]


def _leave_out(ids: set[str], tasks: Iterable[Task]) -> list[Task]:
    """Return a subtree, parents first, without the given tasks and their subtasks."""
    left_out, kept = set(ids), []
    for each in tasks:
        if each["id"] in left_out or each["parent_id"] in left_out:
            left_out.add(each["id"])
        else:
            kept.append(each)
    return kept
