"""SQL statements for lists and their shares."""

from typing import Any, NamedTuple

from sqlalchemy import (
    FromClause,
    Select,
    bindparam,
    case,
    delete,
    insert,
    literal_column,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ColumnElement

from todo.auth.visibility import can_see, visibility_params
from todo.core.caller import Caller
from todo.core.domain import Access, Share, TaskList
from todo.db.documents import (
    LIST_FIELDS,
    SHARE_FIELDS,
    VISIBLE_LIST_FIELDS,
    as_bytes,
    return_document,
    select_document,
)
from todo.db.session import Session
from todo.db.statement import SQLITE, BoundStatement, Statement
from todo.db.tables import Id, list_share, task, task_list
from todo.tasks.repository import MAX_SUBTREE
from todo.tasks.text_fields import normalize_list

MAX_SHARES = 100

_USER: ColumnElement[str] = bindparam("user")
_TOKEN_LIST_ID = bindparam("only_list", type_=Id)
_OF = bindparam("id", type_=Id)
_VALUES: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in LIST_FIELDS}
_BY_OWNER: ColumnElement[str] = literal_column("'owner'")
_HIS_ACCESS = (
    select(list_share.c.access)
    .where(list_share.c.list_id == task_list.c.id, list_share.c.user_id == _USER)
    .scalar_subquery()
)
_ACCESS = case((task_list.c.owner == _USER, _BY_OWNER), else_=_HIS_ACCESS)
_BY_ID = (task_list.c.id == _OF) & can_see(task_list.c.owner, task_list.c.id)
_IS_SHARE = (list_share.c.list_id == _OF) & (list_share.c.user_id == bindparam("with"))

_FIND_OWNER = Statement(select(task_list.c.owner).where(_BY_ID))
_FIND_TO_WRITE = Statement(
    lambda d: select_document(d, task_list, lambda s: s.where(_BY_ID), LIST_FIELDS, [_ACCESS])
)


def _find(dialect: str) -> Select[Any]:
    found = select(task_list, _ACCESS.label("access")).where(_BY_ID).subquery("l")
    return select_document(
        dialect,
        found,
        lambda s: s,
        VISIBLE_LIST_FIELDS,
        repeated=["owner", "version", "access"],
    )


_FIND = Statement(_find)


def _page(dialect: str, *, after: bool) -> Select[Any]:
    """Return the statement that reads a page out of `limit` own and `limit` shared lists."""

    def some(lists: Select[Any], key: ColumnElement[Any]) -> Select[Any]:
        lists = lists.where(or_(_TOKEN_LIST_ID.is_(None), key == _TOKEN_LIST_ID))
        if after:
            lists = lists.where(key > bindparam("after", type_=Id))
        limited = lists.order_by(key).limit(bindparam("limit")).subquery()
        return select(limited)

    own = select(task_list, _BY_OWNER.label("access")).where(task_list.c.owner == _USER)
    theirs = task_list.join(list_share, list_share.c.list_id == task_list.c.id)
    shared = (
        select(task_list, list_share.c.access)
        .select_from(theirs)
        .where(list_share.c.user_id == _USER)
    )
    found: FromClause = union_all(
        some(own, task_list.c.id), some(shared, list_share.c.list_id)
    ).subquery("l")
    return select_document(
        dialect,
        found,
        lambda s: s.order_by(found.c.id).limit(bindparam("limit")),
        VISIBLE_LIST_FIELDS,
        repeated=["id"],
    )


_FIRST_PAGE = Statement(lambda d: _page(d, after=False))
_NEXT_PAGE = Statement(lambda d: _page(d, after=True))
_ADD = Statement(lambda d: return_document(d, insert(task_list).values(_VALUES), task_list))
_CHANGE = Statement(
    lambda d: return_document(
        d,
        update(task_list)
        .where(task_list.c.id == bindparam("of", type_=Id))
        .values({name: _VALUES[name] for name in LIST_FIELDS if name != "id"}),
        task_list,
    )
)
_TASKS = Statement(
    lambda d: select_document(
        d, task, lambda s: s.where(task.c.list_id == _OF).limit(MAX_SUBTREE + 1)
    )
)
_REMOVE_TASKS = Statement(delete(task).where(task.c.list_id == _OF))
_REMOVE = Statement(delete(task_list).where(task_list.c.id == _OF))


def _select_shares(dialect: str, which: ColumnElement[bool]) -> Select[Any]:
    return select_document(
        dialect,
        list_share,
        lambda s: s.where(list_share.c.list_id == _OF, which).order_by(list_share.c.user_id),
        SHARE_FIELDS,
    )


_ALL_SHARES = Statement(lambda d: _select_shares(d, true()))
_ONE_SHARE = Statement(lambda d: _select_shares(d, list_share.c.user_id == bindparam("with")))


def _share(dialect: str) -> Any:  # noqa: ANN401 - each dialect has its own insert
    make = sqlite_insert if dialect == SQLITE else postgresql_insert
    new = make(list_share).values({name: bindparam(name) for name in SHARE_FIELDS})
    change = new.on_conflict_do_update(
        index_elements=["list_id", "user_id"], set_={"access": new.excluded.access}
    )
    return return_document(dialect, change, list_share)


_SHARE = Statement(_share)
_UNSHARE = Statement(delete(list_share).where(_IS_SHARE))


class FoundList(NamedTuple):
    """List that the caller can see, with the caller's `access`; `body` is a `VisibleTaskList`."""

    owner: str
    version: int
    access: Access
    body: bytes


class ListRepository:
    """Reads and writes of the lists that a caller can see, within one session."""

    def __init__(self, session: Session, caller: Caller) -> None:
        self._session = session
        self._sight = visibility_params(caller)

    async def find(self, list_id: str) -> FoundList | None:
        """Return a list; None if the caller cannot see it."""
        row = await self._session.find(_FIND, {"id": list_id, **self._sight})
        if row is None:
            return None
        body, owner, version, access = row
        return FoundList(owner, version, access, as_bytes(body))

    async def find_owner(self, list_id: str) -> str | None:
        """Return the owner of a list; None if the caller cannot see it."""
        row = await self._session.find(_FIND_OWNER, {"id": list_id, **self._sight})
        return None if row is None else row[0]

    def find_to_write(self, list_id: str) -> BoundStatement:
        """Return the statement that reads a list's document and the caller's access to it."""
        return (_FIND_TO_WRITE, {"id": list_id, **self._sight})

    async def find_page(self, after: str | None, limit: int) -> list[tuple[bytes, str]]:
        """Return a page of visible lists, oldest first: `VisibleTaskList` documents with IDs."""
        values = {"limit": limit, **self._sight}
        statement = _FIRST_PAGE if after is None else _NEXT_PAGE
        if after is not None:
            values["after"] = after
        rows = await self._session.fetch(statement, values)
        return [(as_bytes(document), str(list_id)) for document, list_id in rows]

    def add(self, new: TaskList) -> BoundStatement:
        """Return the statement that adds a list and returns its document."""
        return (_ADD, normalize_list(new))

    def change(self, after: TaskList) -> BoundStatement:
        """Return the statement that updates a list and returns its document."""
        return (_CHANGE, {"of": after["id"], **normalize_list(after)})

    async def find_tasks(self, list_id: str) -> list[bytes]:
        """Return the documents of up to MAX_SUBTREE + 1 tasks of a list."""
        rows = await self._session.fetch(_TASKS, {"id": list_id})
        return [as_bytes(row[0]) for row in rows]

    def remove(self, list_id: str) -> list[BoundStatement]:
        """Return the statements that delete a list with its tasks and shares."""
        return [(_REMOVE_TASKS, {"id": list_id}), (_REMOVE, {"id": list_id})]

    async def find_shares(self, list_id: str, user: str | None = None) -> list[bytes]:
        """Return the documents of a list's shares, or only of its share with a user."""
        values = {"id": list_id} if user is None else {"id": list_id, "with": user}
        rows = await self._session.fetch(_ALL_SHARES if user is None else _ONE_SHARE, values)
        return [as_bytes(row[0]) for row in rows]

    def share(self, new: Share) -> BoundStatement:
        """Return the statement that adds or updates a share and returns its document."""
        return (_SHARE, new)

    def unshare(self, list_id: str, user: str) -> BoundStatement:
        """Return the statement that deletes a share."""
        return (_UNSHARE, {"id": list_id, "with": user})
