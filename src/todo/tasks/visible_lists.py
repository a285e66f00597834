"""Lists that a caller can see, by ID and by name."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import FromClause, Select, bindparam, literal_column, or_, select, union_all
from sqlalchemy.sql.elements import ColumnElement

from todo.core.caller import Caller
from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import Id, list_share, task_list

MAX_LISTS = 1000
"""Maximum number of the caller's own lists, and of shared lists; the oldest are kept."""

_USER: ColumnElement[str] = bindparam("user")
_TOKEN_LIST_ID = bindparam("only_list", type_=Id)
_BY_OWNER: ColumnElement[str] = literal_column("'owner'")


def _oldest(lists: Select[Any], key: ColumnElement[Any]) -> Select[Any]:
    within = lists.where(or_(_TOKEN_LIST_ID.is_(None), key == _TOKEN_LIST_ID))
    return select(within.order_by(key).limit(MAX_LISTS + 1).subquery())


def _select_lists() -> Select[Any]:
    name, owner = task_list.c.name, task_list.c.owner
    own = select(task_list.c.id, name, owner, _BY_OWNER.label("access")).where(owner == _USER)
    shared = (
        select(list_share.c.list_id, name, owner, list_share.c.access)
        .select_from(list_share.join(task_list, task_list.c.id == list_share.c.list_id))
        .where(list_share.c.user_id == _USER)
    )
    found: FromClause = union_all(
        _oldest(own, task_list.c.id), _oldest(shared, list_share.c.list_id)
    ).subquery("l")
    return select(found.c.id, found.c.name, found.c.owner, found.c.access).order_by(found.c.id)


_LISTS = Statement(_select_lists())


@dataclass(frozen=True, slots=True)
class VisibleList:
    """List that the caller can see, with the caller's `access`: owner, write or read."""

    id: str
    name: str
    owner: str
    access: str


class VisibleLists:
    """Lists that a caller can see, oldest first; `is_complete` is false if some are left out."""

    def __init__(self, lists: Iterable[VisibleList] = (), *, is_complete: bool = True) -> None:
        self._by_id = {each.id: each for each in lists}
        self.is_complete = is_complete

    @property
    def all(self) -> list[VisibleList]:
        """All lists, oldest first."""
        return list(self._by_id.values())

    def find_name(self, list_id: str) -> str | None:
        """Return the name of a list; None if the list is not included."""
        found = self._by_id.get(list_id)
        return None if found is None else found.name

    @cached_property
    def by_name(self) -> dict[str, list[VisibleList]]:
        """Lists by folded name; the caller's own lists take precedence over shared lists."""
        # Loaded on first use: the grammar is not needed at startup.
        from todo.quickadd.marks import fold_list_name  # noqa: PLC0415

        found: dict[str, list[VisibleList]] = defaultdict(list)
        for each in self._by_id.values():
            found[fold_list_name(each.name)].append(each)
        return {name: _prefer_own(lists) for name, lists in found.items()}

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """IDs of the writable lists by name, for quick add."""
        names: dict[str, tuple[str, ...]] = {}
        for lists in self.by_name.values():
            written = [each for each in lists if each.access != "read"]
            if written:
                names[written[0].name] = tuple(each.id for each in written)
        return names

    def add(self, new: VisibleList) -> "VisibleLists":
        """Return these lists with a new one at the end."""
        return VisibleLists([*self.all, new], is_complete=self.is_complete)


async def fetch_visible_lists(session: Session, caller: Caller) -> VisibleLists:
    """Return the lists that a caller can see; with a token for one list, only that list."""
    rows = await session.fetch(_LISTS, {"user": caller.user, "only_list": caller.list_id})
    lists = [VisibleList(str(list_id), *more) for list_id, *more in rows]
    own = [each for each in lists if each.access == "owner"]
    shared = [each for each in lists if each.access != "owner"]
    is_complete = max(len(own), len(shared)) <= MAX_LISTS
    kept = {each.id for some in (own, shared) for each in some[:MAX_LISTS]}
    return VisibleLists((each for each in lists if each.id in kept), is_complete=is_complete)


def _prefer_own(lists: list[VisibleList]) -> list[VisibleList]:
    return [each for each in lists if each.access == "owner"] or lists
