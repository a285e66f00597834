"""Task service: the rules for tasks, for HTTP, agents' tools and imports."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from todo.core.errors import NotFoundError, ReadOnlyError, StateConflictError, VersionMismatchError
from todo.core.ids import new_uuid7
from todo.core.validation_errors import field_error
from todo.schedule.due import check_zone
from todo.tasks.document import SEARCHED, Document, as_bytes, find_fire_times, parse_document
from todo.tasks.recurrence import RuleEvaluation, find_next, forget_start_days
from todo.tasks.repository import MAX_DEPTH, MAX_SUBTREE, TaskRepository
from todo.tasks.rule_start import find_rule_start
from todo.tasks.validation import needs_account, new_image, validate_due
from todo.writes.unit_of_work import Account, UnitOfWork

_DUE = ("due_date", "due_at", "due_zone")


@dataclass(frozen=True, slots=True)
class LockedTask:
    """A task that the caller may change, while its owner's account is locked."""

    account: Account
    text: bytes
    document: Document


class TaskService:
    """The rules for tasks, within one write."""

    def __init__(self, work: UnitOfWork, rules: RuleEvaluation | None = None) -> None:
        """Serve one write.

        Args:
            work: The write.
            rules: What evaluates the rules of the request; its budget outlasts a repeated attempt.
        """
        self._work = work
        self._caller = work.caller
        self._store = TaskRepository(work.session, work.caller)
        self._rules = rules or RuleEvaluation()

    async def create(self, fields: dict[str, Any]) -> bytes:
        """Store a new task.

        Args:
            fields: Of `TaskCreate`, as JSON has them; what is absent has its default. An `id` is
                that of the task, which other tasks of the same write can name.

        Returns:
            Its document.

        Raises:
            NotFoundError: The list or the parent is none that the caller sees.
            ReadOnlyError: The caller may not put tasks there.
            ValidationFailedError: Zone, rule or place is not acceptable.
        """
        document = new_image(fields, self._work.caller.user, self._work.timestamp)
        account = await self._place(document, fields.get("parent_id"), fields.get("list_id"))
        if account is None and needs_account(document):
            account, _ = await self._work.lock(document["owner"])
        await self._normalize_due(document, account.zone if account else "UTC")
        owner = document["owner"]
        words = await self._rules.render_searched(document)
        if account is None:
            # A task without a due time has no reminders either.
            adding = self._store.add_recording(document, words)
            text = await self._work.execute_and_record(
                owner, adding, "create", "task", document["id"]
            )
            if text is not None:
                return text
        calls = self._store.add(document, self._find_fire_times(document, account), words)
        _, ((row, *_), *_others) = await self._work.lock(owner, *calls)
        text = as_bytes(row[0])
        self._record("create", document, None, text)
        return text

    async def get_to_change(self, task_id: str, expected: frozenset[int] | None = None) -> bytes:
        """Return a task's document, which nobody else can change until this write is over.

        Raises:
            ProblemError: As `update`.
        """
        return (await self._lock(task_id, expected)).text

    async def update(
        self, task_id: str, changes: dict[str, Any], expected: frozenset[int] | None = None
    ) -> bytes:
        """Change the fields that are given; return the task's document.

        Args:
            task_id: Which task.
            changes: Of `TaskUpdate`, as JSON has them.
            expected: Versions of which it must have one, None for any.

        Raises:
            NotFoundError: The task does not exist, or the caller cannot see it: the responses are
                the same.
            ReadOnlyError: The caller sees it, and may not change it.
            VersionMismatchError: It has none of the expected versions.
            ValidationFailedError: As `create`.
        """
        found = await self._lock(task_id, expected)
        document = _apply(found.document, changes)
        if _is_switched_to_completion(found.document, changes):
            start = await find_rule_start(self._work.session, found.document)
            document["recurrence"] = forget_start_days(start)
        if "list_id" in changes or "parent_id" in changes:
            await self._move(found, document, changes)
        if {*_DUE, "recurrence", "recurrence_from"} & set(changes):
            await self._normalize_due(document, found.account.zone)
            if _is_same_instant(document["due_at"], found.document["due_at"]):
                # Each database writes it in its own way.
                document["due_at"] = found.document["due_at"]
        operation = "update"
        if "is_completed" in changes and document["is_completed"] != found.document["is_completed"]:
            operation = "complete" if document["is_completed"] else "reopen"
            document["completed_at"] = self._work.timestamp if document["is_completed"] else None
        if document == found.document:
            return found.text
        text = await self._store_change(operation, found, document)
        if operation == "complete":
            await self._continue_series(found.account, parse_document(text))
        return text

    async def complete(self, task_id: str, expected: frozenset[int] | None = None) -> bytes:
        """Mark a task as done; once done, nothing changes.

        The next task of a series is created with it.

        Raises:
            ProblemError: As `update`.
        """
        return await self.update(task_id, {"is_completed": True}, expected)

    async def reopen(self, task_id: str, expected: frozenset[int] | None = None) -> bytes:
        """Mark a task as open; the next one of a series stays, and is not made again.

        Raises:
            ProblemError: As `update`.
        """
        return await self.update(task_id, {"is_completed": False}, expected)

    async def delete(self, task_id: str, expected: frozenset[int] | None = None) -> None:
        """Delete a task and all below it.

        Raises:
            StateConflictError: There are more than MAX_SUBTREE below it.
            ProblemError: As `update`.
        """
        found = await self._lock(task_id, expected)
        below = await self._store.find_subtree(task_id)
        _refuse_many(below)
        # Those below first, so that undoing in reverse order finds each parent in its place.
        for text in [*reversed(below), found.text]:
            self._record("delete", parse_document(text), text, None)
        await self._work.session.run(self._store.remove(task_id))

    async def _lock(self, task_id: str, expected: frozenset[int] | None) -> LockedTask:
        """Find a task to be changed, and lock its owner's account.

        No other account is locked: two users who each change a task of the other's would wait for
        each other.
        """
        find = self._store.find_to_write(task_id)
        (rows,) = await self._work.session.run(find)
        if not rows:
            raise NotFoundError
        owner = parse_document(as_bytes(rows[0][0]))["owner"]
        # Read again: until now, others could change it.
        account, (rows,) = await self._work.lock(owner, find)
        if not rows:
            raise NotFoundError
        text = as_bytes(rows[0][0])
        if not rows[0][1]:
            raise ReadOnlyError
        document = parse_document(text)
        if expected is not None and document["version"] not in expected:
            raise VersionMismatchError
        return LockedTask(account, text, document)

    async def _store_change(self, operation: str, found: LockedTask, document: Document) -> bytes:
        document["version"] = found.document["version"] + 1
        document["updated_at"] = self._work.timestamp
        reminded = ("due_date", "due_at", "reminders", "is_completed")
        moved = any(document[name] != found.document[name] for name in reminded)
        times = self._find_fire_times(document, found.account) if moved else None
        words = None
        if any(document[name] != found.document[name] for name in SEARCHED):
            words = await self._rules.render_searched(document)
        calls = self._store.change(found.document, document, times, words)
        (rows, *_) = await self._work.session.run(*calls)
        text = as_bytes(rows[0][0])
        self._record(operation, document, found.text, text)
        return text

    async def _continue_series(self, account: Account, done: Document) -> None:
        """Create the task that follows a completed one, unless it is there or its series ends."""
        if done["recurrence"] is None or await self._store.is_followed(done["id"]):
            return
        zone = check_zone(account.zone)
        due = await self._rules.run(find_next, done, self._work.now, zone)
        if due is None:
            return
        document = (
            done
            | due
            | {
                "id": str(new_uuid7()),
                "is_completed": False,
                "completed_at": None,
                "created_at": self._work.timestamp,
                "updated_at": self._work.timestamp,
                "previous_id": done["id"],
                "version": 1,
            }
        )
        words = await self._rules.render_searched(document)
        calls = self._store.add(document, self._find_fire_times(document, account), words)
        (rows, *_) = await self._work.session.run(*calls)
        self._record("create", document, None, as_bytes(rows[0][0]))

    async def _place(
        self, document: Document, parent_id: str | None, list_id: str | None
    ) -> Account | None:
        """Set owner, list and parent of a new task; return the account if that locked it."""
        if parent_id is None:
            list_id = list_id or self._caller.list_id
            if list_id is None:
                return None
        await self._find_place(document, parent_id, list_id)
        account, _ = await self._work.lock(document["owner"])
        # Looked at again: until its owner's account is locked, a place may move or go.
        await self._find_place(document, parent_id, list_id)
        return account

    async def _find_place(
        self, document: Document, parent_id: str | None, list_id: str | None
    ) -> None:
        if parent_id is not None:
            parent = await self._find_parent(parent_id)
            if list_id not in {None, parent["list_id"]}:
                raise field_error("list_id", "a subtask must be in the list of its parent")
            document |= {name: parent[name] for name in ("owner", "list_id")}
            document["parent_id"] = parent_id
        elif list_id is not None:
            document["owner"] = await self._find_list(list_id)
            document["list_id"] = list_id

    async def _find_parent(self, parent_id: str) -> Document:
        (rows,) = await self._work.session.run(self._store.find_to_write(parent_id))
        if not rows:
            raise field_error("parent_id", "the task does not exist")
        if not rows[0][1]:
            raise ReadOnlyError
        above = await self._store.find_ancestors(parent_id)
        if len(above) >= MAX_DEPTH:
            raise field_error("parent_id", f"tasks can be nested at most {MAX_DEPTH} levels deep")
        return parse_document(as_bytes(rows[0][0]))

    async def _find_list(self, list_id: str) -> str:
        found = await self._store.find_list(list_id)
        if found is None:
            raise field_error("list_id", "the list does not exist")
        owner, may_write = found
        if not may_write:
            raise ReadOnlyError
        return owner

    async def _move(self, found: LockedTask, document: Document, changes: dict[str, Any]) -> None:
        """Give a task another parent or list; all below it follows into the list."""
        parent_id = document["parent_id"]
        if parent_id is not None:
            if parent_id != found.document["parent_id"]:
                await self._move_below(found, parent_id)
            parent = await self._find_parent(parent_id)
            if changes.get("list_id", parent["list_id"]) != parent["list_id"]:
                raise field_error("list_id", "a subtask must be in the list of its parent")
            owner, document["list_id"] = parent["owner"], parent["list_id"]
        elif document["list_id"] is not None:
            owner = await self._find_list(document["list_id"])
        else:
            if self._caller.list_id is not None:
                raise field_error("list_id", "this token is restricted to one list")
            owner = found.document["owner"]
        if owner != found.document["owner"] or (
            document["list_id"] is None and owner != self._caller.user
        ):
            raise field_error(
                "list_id", "a task cannot move to another owner; create a new task there instead"
            )
        if document["list_id"] != found.document["list_id"]:
            below = await self._store.find_subtree(document["id"])
            _refuse_many(below)
            for text in below:
                child = parse_document(text)
                follows = LockedTask(found.account, text, child)
                await self._store_change(
                    "update", follows, child | {"list_id": document["list_id"]}
                )

    async def _move_below(self, found: LockedTask, parent_id: str) -> None:
        above = await self._store.find_ancestors(parent_id)
        if found.document["id"] in above:
            raise field_error("parent_id", "a task cannot be below itself")
        below = [
            parse_document(text) for text in await self._store.find_subtree(found.document["id"])
        ]
        _refuse_many(below)
        if len(above) + 1 + measure_height(found.document["id"], below) > MAX_DEPTH:
            raise field_error("parent_id", f"tasks can be nested at most {MAX_DEPTH} levels deep")

    async def _normalize_due(self, document: Document, zone: str) -> None:
        """Check due and rule, and write each in its one form."""
        if document["recurrence"] is None:
            validate_due(document, zone)
        else:
            await self._rules.run(validate_due, document, zone)

    def _find_fire_times(self, document: Document, account: Account | None) -> list[str]:
        return find_fire_times(document, account.zone if account else "UTC", self._work.now)

    def _record(
        self, operation: str, document: Document, before: bytes | None, after: bytes | None
    ) -> None:
        self._work.record(
            document["owner"],
            operation,
            "task",
            document["id"],
            list_id=document["list_id"],
            before=before,
            after=after,
        )


def _apply(before: Document, changes: dict[str, Any]) -> Document:
    """Return a task with the fields that are given, and without those that they replace."""
    document = before | {k: v for k, v in changes.items() if k in before}
    if changes.get("due_date") is not None:
        document |= {"due_at": None, "due_zone": None}
    elif changes.get("due_at") is not None:
        document["due_date"] = None
    if document["due_at"] is None:
        document["due_zone"] = None
    return document


def _is_switched_to_completion(before: Document, changes: dict[str, Any]) -> bool:
    """Whether the rule stays, and is counted from completion from now on."""
    if before["recurrence"] is None or "recurrence" in changes:
        return False
    is_now = changes.get("recurrence_from") == "completion"
    return is_now and before["recurrence_from"] != "completion"


def _is_same_instant(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return datetime.fromisoformat(one) == datetime.fromisoformat(other)


def measure_height(task_id: str, below: list[Document]) -> int:
    """Return how many levels there are below a task; `below` has those above first."""
    depths = {task_id: 0}
    for document in below:
        depths[document["id"]] = depths[document["parent_id"]] + 1
    return max(depths.values())


def _refuse_many(below: list[Any]) -> None:
    if len(below) > MAX_SUBTREE:
        raise StateConflictError(
            f"The task has more than {MAX_SUBTREE} subtasks; change some of them first."
        )
