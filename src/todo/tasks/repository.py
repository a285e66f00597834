"""SQL statements for tasks."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Insert,
    Select,
    String,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.auth.visibility import can_see, can_write, visibility_params
from todo.core.caller import Caller
from todo.core.domain import Task
from todo.db.documents import (
    TASK_FIELDS,
    StoredDocument,
    as_bytes,
    return_document,
    select_document,
)
from todo.db.session import Session
from todo.db.statement import POSTGRESQL, SQLITE, BoundStatement, Statement, unnest_json
from todo.db.tables import Id, reminder, task, task_list, task_tag
from todo.tasks.document import COLUMNS, SEARCHED, has_other, to_row, to_row_without_words
from todo.tasks.text_fields import normalize_task
from todo.writes.account_lock import LOCKED
from todo.writes.append import appending

MAX_DEPTH = 5
MAX_SUBTREE = 1000

_VALUES: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in COLUMNS}
_BY_ID = task.c.id == bindparam("id")


_SEEN = (_BY_ID, can_see(task.c.owner, task.c.list_id))


@lru_cache(256)
def _find(fields: tuple[str, ...]) -> Statement:
    """Return the statement that reads fields and version of a task that the caller can see."""
    if "version" in fields:
        # Repeating the document's version is cheaper than reading a separate column.
        return Statement(
            lambda d: select_document(
                d, task, lambda s: s.where(*_SEEN), fields, repeated=["version"]
            )
        )
    return Statement(
        lambda d: select_document(d, task, lambda s: s.where(*_SEEN), fields, [task.c.version])
    )


_FIND_OWNER = Statement(select(task.c.owner).where(*_SEEN))
_FIND_TO_WRITE = Statement(
    lambda d: select_document(
        d,
        task,
        lambda s: s.where(*_SEEN),
        extra=[can_write(task.c.owner, task.c.list_id)],
    )
)
_FIND_LIST = Statement(
    select(task_list.c.owner, can_write(task_list.c.owner, task_list.c.id)).where(
        task_list.c.id == bindparam("id"), can_see(task_list.c.owner, task_list.c.id)
    )
)
_ADD = Statement(lambda d: return_document(d, insert(task).values(_VALUES), task))


def _add_recording() -> Select[Any]:
    """Return PostgreSQL's statement that adds a task with its tags and its journal entry."""
    # No casts: they would truncate a text that is too long.
    typed = [bindparam(column.name, type_=column.type) for column in task.columns]
    new = insert(task).from_select(list(COLUMNS), select(*typed).select_from(LOCKED))
    added = new.returning(task).cte("added")
    words = func.json_array_elements_text(added.c.tags).table_valued("value").lateral()
    tags = select(added.c.owner, words.c.value, added.c.id).select_from(added.join(words, true()))
    tagged = insert(task_tag).from_select(["owner", "tag", "task_id"], tags).cte("tagged")
    document = select_document(POSTGRESQL, added, lambda s: s).scalar_subquery()
    changed = select(cast(document, Text).label("after")).select_from(added).cte("changed")
    return appending(changed).add_cte(tagged)


_ADD_RECORDING = Statement(_add_recording())


def _change(dialect: str, kept: set[str]) -> Any:  # noqa: ANN401 - return type of return_document
    values = {name: _VALUES[name] for name in COLUMNS if name not in kept}
    change = update(task).where(task.c.id == bindparam("of")).values(values)
    return return_document(dialect, change, task)


_CHANGE = Statement(lambda d: _change(d, {"id"}))
_CHANGE_WITHOUT_WORDS = Statement(lambda d: _change(d, {"id", "words"}))
_REMOVE = Statement(delete(task).where(_BY_ID))


def _tag(dialect: str) -> Insert:
    """Return the statement that inserts a row for each tag of a JSON array."""
    each = func.json_each if dialect == SQLITE else func.json_array_elements_text
    words = each(cast(bindparam("tags"), JSON) if dialect != SQLITE else bindparam("tags"))
    word = words.table_valued("value").c.value
    rows = select(bindparam("owner", type_=String), word, bindparam("task_id", type_=Id))
    return insert(task_tag).from_select(["owner", "tag", "task_id"], rows)


_TAG = Statement(_tag)
_UNTAG = Statement(delete(task_tag).where(task_tag.c.task_id == bindparam("task_id")))
_REMIND = Statement(
    insert(reminder).values(
        task_id=bindparam("task_id"), fire_at=bindparam("fire_at"), owner=bindparam("owner")
    )
)
_FORGET = Statement(delete(reminder).where(reminder.c.task_id == bindparam("task_id")))


def _subtree(dialect: str) -> Select[Any]:
    """Return the statement that reads up to MAX_SUBTREE + 1 subtasks of a task, by depth."""
    below = (
        select(task.c.id, literal(1).label("depth"))
        .where(task.c.parent_id == bindparam("id"))
        .cte("below", recursive=True)
    )
    below = below.union_all(
        select(task.c.id, below.c.depth + 1)
        .where(task.c.parent_id == below.c.id)
        .where(below.c.depth < MAX_DEPTH)
    )
    some = select(below).limit(MAX_SUBTREE + 1).subquery("some")
    rows = select(task, some.c.depth).join(some, some.c.id == task.c.id).subquery("t")
    return select_document(dialect, rows, lambda s: s.order_by(rows.c.depth, rows.c.id))


_SUBTREE = Statement(_subtree)


def _ancestors() -> Select[Any]:
    above = (
        select(task.c.id, task.c.parent_id, literal(0).label("depth"))
        .where(_BY_ID)
        .cte("above", recursive=True)
    )
    above = above.union_all(
        select(task.c.id, task.c.parent_id, above.c.depth + 1)
        .where(task.c.id == above.c.parent_id)
        .where(above.c.depth < MAX_DEPTH)
    )
    return select(above.c.id)


_ANCESTORS = Statement(_ancestors())


_FOLLOWED = Statement(
    select(literal(1)).where(task.c.previous_id == bindparam("previous", type_=Id)).limit(1)
)


def _following(dialect: str) -> Select[Any]:
    seen = can_see(task.c.owner, task.c.list_id)
    # `IS NOT NULL` makes the partial index `ix_task_previous` usable.
    follows = task.c.previous_id.is_not(None) & task.c.previous_id.in_(
        unnest_json(dialect, "previous", Id)
    )
    return select_document(
        dialect, task, lambda s: s.where(follows, seen), TASK_FIELDS, [task.c.previous_id]
    )


_FOLLOWING = Statement(_following)


class TaskRepository:
    """Reads and writes of the tasks that a caller can see, within one session."""

    def __init__(self, session: Session, caller: Caller) -> None:
        self._session = session
        self._sight = visibility_params(caller)

    async def find(
        self, task_id: str, fields: tuple[str, ...] = TASK_FIELDS
    ) -> StoredDocument | None:
        """Return fields of a task's document; None if the caller cannot see the task."""
        row = await self._session.find(_find(fields), {"id": task_id, **self._sight})
        return None if row is None else StoredDocument(task_id, row[1], as_bytes(row[0]))

    async def find_owner(self, task_id: str) -> str | None:
        """Return the owner of a task; None if the caller cannot see the task."""
        row = await self._session.find(_FIND_OWNER, {"id": task_id, **self._sight})
        return None if row is None else row[0]

    def find_to_write(self, task_id: str) -> BoundStatement:
        """Return the statement that reads a task and whether the caller may change it."""
        return (_FIND_TO_WRITE, {"id": task_id, **self._sight})

    async def find_list(self, list_id: str) -> tuple[str, bool] | None:
        """Return the owner of a list and whether the caller may write to it; None if invisible."""
        row = await self._session.find(_FIND_LIST, {"id": list_id, **self._sight})
        return None if row is None else (row[0], bool(row[1]))

    async def find_subtree(self, task_id: str) -> list[bytes]:
        """Return the documents of a task's subtasks at all levels, parents first."""
        rows = await self._session.fetch(_SUBTREE, {"id": task_id})
        return [as_bytes(row[0]) for row in rows]

    async def find_ancestors(self, task_id: str) -> list[str]:
        """Return the IDs of a task and its ancestors."""
        rows = await self._session.fetch(_ANCESTORS, {"id": task_id})
        return [str(row[0]) for row in rows]

    async def is_followed(self, task_id: str) -> bool:
        """Return whether the next occurrence after a task of a series exists."""
        return await self._session.find(_FOLLOWED, {"previous": task_id}) is not None

    async def find_following(self, task_ids: Sequence[str]) -> list[bytes]:
        """Return the documents of the next occurrences after tasks, in the order of `task_ids`.

        Occurrences that the caller cannot see are left out.
        """
        if not task_ids:
            return []
        values = {"previous": orjson.dumps(task_ids).decode(), **self._sight}
        rows = await self._session.fetch(_FOLLOWING, values)
        found = {str(previous): as_bytes(document) for document, previous in rows}
        return [found[task_id] for task_id in task_ids if task_id in found]

    def add(
        self, new: Task, fire_times: Iterable[str], words: str | None = None
    ) -> list[BoundStatement]:
        """Return the statements that add a task; the first one returns its document."""
        new = normalize_task(new)
        return [(_ADD, to_row(new, words)), *_derive(new, new["tags"], fire_times)]

    def add_recording(self, new: Task, words: str | None = None) -> BoundStatement:
        """Return the statement that adds and records a task, for `UnitOfWork.execute_and_record`.

        The task must not have reminders.
        """
        return (_ADD_RECORDING, to_row(normalize_task(new), words))

    def change(
        self,
        before: Task,
        after: Task,
        fire_times: Iterable[str] | None = None,
        words: str | None = None,
    ) -> list[BoundStatement]:
        """Return the statements that update a task; the first one returns its document.

        Without `fire_times`, the reminders stay unchanged.
        """
        after = normalize_task(after)
        if has_other(after, before, SEARCHED):
            statement, row = _CHANGE, to_row(after, words)
        else:
            statement, row = _CHANGE_WITHOUT_WORDS, to_row_without_words(after)
        calls: list[BoundStatement] = [(statement, {"of": row.pop("id"), **row})]
        of_task = {"task_id": after["id"]}
        tags = after["tags"] if after["tags"] != before["tags"] else None
        if tags is not None:
            calls.append((_UNTAG, of_task))
        if fire_times is not None:
            calls.append((_FORGET, of_task))
        return calls + _derive(after, tags or [], fire_times or ())

    def remind(self, reminded: Task, fire_times: Iterable[str]) -> list[BoundStatement]:
        """Return the statements that replace the reminder times of a task."""
        return [(_FORGET, {"task_id": reminded["id"]}), *_derive(reminded, [], fire_times)]

    def remove(self, task_id: str) -> BoundStatement:
        """Return the statement that deletes a task with its subtasks."""
        return (_REMOVE, {"id": task_id})


def _derive(stored: Task, tags: Sequence[str], fire_times: Iterable[str]) -> list[BoundStatement]:
    """Return the statements that add tags and reminder times of a task."""
    of_task = {"owner": stored["owner"], "task_id": stored["id"]}
    calls: list[BoundStatement] = []
    if tags:
        calls.append((_TAG, {**of_task, "tags": orjson.dumps(tags).decode()}))
    return calls + [(_REMIND, {**of_task, "fire_at": at}) for at in fire_times]
