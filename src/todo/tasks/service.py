"""Task service: creates and changes tasks for HTTP and agents' tools."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from datetime import datetime

from todo.core.domain import NewTask, Task, TaskChanges, TaskRule
from todo.core.errors import NotFoundError, ReadOnlyError, StateConflictError, VersionMismatchError
from todo.core.ids import new_uuid7
from todo.core.validation_errors import field_error
from todo.db.documents import StoredDocument, as_bytes, parse_task
from todo.schedule.due import check_zone
from todo.tasks.document import SEARCHED, find_fire_times, has_other
from todo.tasks.recurrence import RuleEvaluation, find_next, forget_start_days
from todo.tasks.repository import MAX_DEPTH, MAX_SUBTREE, TaskRepository
from todo.tasks.rule_start import find_rule_start
from todo.tasks.validation import make_task, needs_account, validate_due
from todo.writes.unit_of_work import Account, UnitOfWork

_RULE_FIELDS = TaskRule.__annotations__.keys()
_REMINDED_BY = ("due_date", "due_at", "reminders", "is_completed")


@dataclass(frozen=True, slots=True)
class LockedTask:
    """Task that the caller may change, as stored and parsed, with its owner's locked account."""

    account: Account
    document: bytes
    task: Task

    @property
    def stored(self) -> StoredDocument:
        """Stored document with its ID and version."""
        return StoredDocument(self.task["id"], self.task["version"], self.document)


class TaskService:
    """Creation, change and deletion of tasks within one unit of work.

    Repeated attempts at one request share `rules`, and thereby its time budget. All methods that
    change an existing task raise the errors of `update`, and accept any version if `expected` is
    None.
    """

    def __init__(self, work: UnitOfWork, rules: RuleEvaluation | None = None) -> None:
        self._work = work
        self._caller = work.caller
        self._store = TaskRepository(work.session, work.caller)
        self._rules = rules or RuleEvaluation()

    async def create(self, fields: NewTask) -> StoredDocument:
        """Store a new task, with a new ID if the fields have none, and return its document.

        Raises:
            ReadOnlyError: The caller may not create tasks in the list or below the parent.
            ValidationFailedError: The due date, zone, rule, list or parent is invalid.
        """
        task = make_task(fields, self._work.caller.user, self._work.timestamp)
        account = await self._place(task, fields.get("parent_id"), fields.get("list_id"))
        if account is None and needs_account(task):
            account, _ = await self._work.lock(task["owner"])
        await self._normalize_due(task, account.zone if account else "UTC")
        task_id, owner = task["id"], task["owner"]
        words = await self._rules.render_searched(task)
        if account is None:
            # Without a due time, there are no reminders to store.
            adding = self._store.add_recording(task, words)
            document = await self._work.execute_and_record(owner, adding, "create", "task", task_id)
            if document is not None:
                return StoredDocument(task_id, task["version"], document)
        calls = self._store.add(task, self._find_fire_times(task, account), words)
        _, ((row, *_), *_others) = await self._work.lock(owner, *calls)
        document = as_bytes(row[0])
        self._record("create", task, None, document)
        return StoredDocument(task_id, task["version"], document)

    async def get_to_change(self, task_id: str, expected: frozenset[int] | None = None) -> Task:
        """Lock a task against changes by other writers, and return it."""
        return (await self._lock(task_id, expected)).task

    async def update(
        self, task_id: str, changes: TaskChanges, expected: frozenset[int] | None = None
    ) -> StoredDocument:
        """Change the given fields of a task and return its document.

        Raises:
            NotFoundError: The task does not exist, or the caller cannot see it.
            ReadOnlyError: The caller can see the task, but may not change it.
            VersionMismatchError: The task's version is not one of `expected`.
            ValidationFailedError: The due date, zone, rule, list or parent is invalid.
        """
        found = await self._lock(task_id, expected)
        before, task = found.task, _apply(found.task, changes)
        if _is_switched_to_completion(before, changes) and before["recurrence"] is not None:
            start = await find_rule_start(self._work.session, before)
            task["recurrence"] = forget_start_days(before["recurrence"], start)
        if "list_id" in changes or "parent_id" in changes:
            await self._move(found, task, changes)
        if _RULE_FIELDS & changes.keys():
            await self._normalize_due(task, found.account.zone)
            if _is_same_instant(task["due_at"], before["due_at"]):
                # Keep the stored text: each database formats the same instant differently.
                task["due_at"] = before["due_at"]
        operation = "update"
        if task["is_completed"] != before["is_completed"]:
            operation = "complete" if task["is_completed"] else "reopen"
            task["completed_at"] = self._work.timestamp if task["is_completed"] else None
        if task == before:
            return found.stored
        stored = await self._store_change(operation, found, task)
        if operation == "complete":
            await self._continue_series(found.account, parse_task(stored.body))
        return stored

    async def complete(
        self, task_id: str, expected: frozenset[int] | None = None
    ) -> StoredDocument:
        """Complete a task that is open, and create the next occurrence of its series."""
        return await self.update(task_id, {"is_completed": True}, expected)

    async def reopen(self, task_id: str, expected: frozenset[int] | None = None) -> StoredDocument:
        """Reopen a task; the next occurrence of its series stays, and is not created twice."""
        return await self.update(task_id, {"is_completed": False}, expected)

    async def delete(self, task_id: str, expected: frozenset[int] | None = None) -> None:
        """Delete a task with its subtasks at all levels.

        Raises:
            StateConflictError: The task has more than MAX_SUBTREE subtasks.
        """
        found = await self._lock(task_id, expected)
        below = await self._store.find_subtree(task_id)
        _refuse_many(below)
        # Record subtasks first: undo runs in reverse order, and must restore each parent first.
        for document in [*reversed(below), found.document]:
            self._record("delete", parse_task(document), document, None)
        await self._work.session.run(self._store.remove(task_id))

    async def _lock(self, task_id: str, expected: frozenset[int] | None) -> LockedTask:
        """Lock the account of a task's owner, and return the task.

        The caller's own account is not locked: two users who change each other's tasks would
        deadlock.
        """
        owner = await self._store.find_owner(task_id)
        if owner is None:
            raise NotFoundError
        # Read after locking: before, others could still change the task.
        account, (rows,) = await self._work.lock(owner, self._store.find_to_write(task_id))
        if not rows:
            raise NotFoundError
        document, can_write = as_bytes(rows[0][0]), rows[0][1]
        if not can_write:
            raise ReadOnlyError
        task = parse_task(document)
        if expected is not None and task["version"] not in expected:
            raise VersionMismatchError
        return LockedTask(account, document, task)

    async def _store_change(self, operation: str, found: LockedTask, task: Task) -> StoredDocument:
        task["version"] = found.task["version"] + 1
        task["updated_at"] = self._work.timestamp
        moved = has_other(task, found.task, _REMINDED_BY)
        times = self._find_fire_times(task, found.account) if moved else None
        words = None
        if has_other(task, found.task, SEARCHED):
            words = await self._rules.render_searched(task)
        calls = self._store.change(found.task, task, times, words)
        (rows, *_) = await self._work.session.run(*calls)
        document = as_bytes(rows[0][0])
        self._record(operation, task, found.document, document)
        return StoredDocument(task["id"], task["version"], document)

    async def _continue_series(self, account: Account, done: Task) -> None:
        """Create the occurrence after a completed task, unless it exists or the series ends."""
        recurrence = done["recurrence"]
        if recurrence is None or await self._store.is_followed(done["id"]):
            return
        zone = check_zone(account.zone)
        following = await self._rules.run(find_next, done, recurrence, self._work.now, zone)
        if following is None:
            return
        task: Task = {
            **done,
            **following,
            "id": str(new_uuid7()),
            "is_completed": False,
            "completed_at": None,
            "created_at": self._work.timestamp,
            "updated_at": self._work.timestamp,
            "previous_id": done["id"],
            "version": 1,
        }
        words = await self._rules.render_searched(task)
        calls = self._store.add(task, self._find_fire_times(task, account), words)
        (rows, *_) = await self._work.session.run(*calls)
        self._record("create", task, None, as_bytes(rows[0][0]))

    async def _place(
        self, task: Task, parent_id: str | None, list_id: str | None
    ) -> Account | None:
        """Set owner, list and parent of a new task; return the owner's account if locked here."""
        if parent_id is None:
            list_id = list_id or self._caller.list_id
            if list_id is None:
                return None
        await self._find_place(task, parent_id, list_id)
        account, _ = await self._work.lock(task["owner"])
        # Check again after locking: before, the list or parent could be moved or deleted.
        await self._find_place(task, parent_id, list_id)
        return account

    async def _find_place(self, task: Task, parent_id: str | None, list_id: str | None) -> None:
        if parent_id is not None:
            parent = await self._find_parent(parent_id)
            if list_id not in {None, parent["list_id"]}:
                raise field_error("list_id", "a subtask must be in the list of its parent")
            task["owner"], task["list_id"] = parent["owner"], parent["list_id"]
            task["parent_id"] = parent_id
        elif list_id is not None:
            task["owner"] = await self._find_list(list_id)
            task["list_id"] = list_id

    async def _find_parent(self, parent_id: str) -> Task:
        (rows,) = await self._work.session.run(self._store.find_to_write(parent_id))
        if not rows:
            raise field_error("parent_id", "the task does not exist")
        if not rows[0][1]:
            raise ReadOnlyError
        above = await self._store.find_ancestors(parent_id)
        if len(above) >= MAX_DEPTH:
            raise field_error("parent_id", f"tasks can be nested at most {MAX_DEPTH} levels deep")
        return parse_task(rows[0][0])

    async def _find_list(self, list_id: str) -> str:
        found = await self._store.find_list(list_id)
        if found is None:
            raise field_error("list_id", "the list does not exist")
        owner, may_write = found
        if not may_write:
            raise ReadOnlyError
        return owner

    async def _move(self, found: LockedTask, task: Task, changes: TaskChanges) -> None:
        """Move a task to another parent or list, and its subtasks to the same list."""
        parent_id = task["parent_id"]
        if parent_id is not None:
            if parent_id != found.task["parent_id"]:
                await self._move_below(found, parent_id)
            parent = await self._find_parent(parent_id)
            if changes.get("list_id", parent["list_id"]) != parent["list_id"]:
                raise field_error("list_id", "a subtask must be in the list of its parent")
            owner, task["list_id"] = parent["owner"], parent["list_id"]
        elif task["list_id"] is not None:
            owner = await self._find_list(task["list_id"])
        else:
            if self._caller.list_id is not None:
                message = "must not be null, because this token is restricted to one list"
                raise field_error("list_id", message)
            owner = found.task["owner"]
        if owner != found.task["owner"] or (task["list_id"] is None and owner != self._caller.user):
            raise field_error(
                "list_id", "a task cannot move to another owner; create a new task there instead"
            )
        if task["list_id"] != found.task["list_id"]:
            below = await self._store.find_subtree(task["id"])
            _refuse_many(below)
            for document in below:
                child = LockedTask(found.account, document, parse_task(document))
                moved = child.task | {"list_id": task["list_id"]}
                await self._store_change("update", child, moved)

    async def _move_below(self, found: LockedTask, parent_id: str) -> None:
        above = await self._store.find_ancestors(parent_id)
        task_id = found.task["id"]
        if task_id in above:
            raise field_error("parent_id", "a task cannot be below itself")
        below = await self._store.find_subtree(task_id)
        _refuse_many(below)
        if len(above) + 1 + measure_height(task_id, map(parse_task, below)) > MAX_DEPTH:
            raise field_error("parent_id", f"tasks can be nested at most {MAX_DEPTH} levels deep")

    async def _normalize_due(self, task: Task, zone: str) -> None:
        """Validate and normalize the due date or time and the rule of a task."""
        if task["recurrence"] is None:
            validate_due(task, zone)
        else:
            await self._rules.run(validate_due, task, zone)

    def _find_fire_times(self, task: Task, account: Account | None) -> list[str]:
        return find_fire_times(task, account.zone if account else "UTC", self._work.now)

    def _record(
        self, operation: str, task: Task, before: bytes | None, after: bytes | None
    ) -> None:
        self._work.record(
            task["owner"],
            operation,
            "task",
            task["id"],
            list_id=task["list_id"],
            before=before,
            after=after,
        )


def _apply(before: Task, changes: TaskChanges) -> Task:
    """Return the task after the changes; a due date replaces a due time and vice versa."""
    task: Task = {**before, **changes}
    if changes.get("due_date") is not None:
        task["due_at"] = None
    elif changes.get("due_at") is not None:
        task["due_date"] = None
    if task["due_at"] is None:
        task["due_zone"] = None
    return task


def _is_switched_to_completion(before: Task, changes: TaskChanges) -> bool:
    """Return whether a change makes the existing rule count from completion."""
    if before["recurrence"] is None or "recurrence" in changes:
        return False
    is_now = changes.get("recurrence_from") == "completion"
    return is_now and before["recurrence_from"] != "completion"


def _is_same_instant(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return datetime.fromisoformat(one) == datetime.fromisoformat(other)


def measure_height(task_id: str, below: Iterable[Task]) -> int:
    """Return the number of levels below a task; in `below`, parents precede their subtasks."""
    depths: dict[str | None, int] = {task_id: 0}
    for task in below:
        depths[task["id"]] = depths[task["parent_id"]] + 1
    return max(depths.values())


def _refuse_many(below: Sized) -> None:
    if len(below) > MAX_SUBTREE:
        raise StateConflictError(
            f"The task has more than {MAX_SUBTREE} subtasks; change some of them first."
        )
