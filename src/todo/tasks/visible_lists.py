"""Visible lists: the lists that a caller sees, by id and by name."""

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
"""Maximum number of named lists, the oldest ones, of the caller and of other users each."""

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
    """A list that the caller can see.

    Attributes:
        id: ID of the list.
        name: Name of the list.
        owner: Owner of the list.
        access: Access of the caller to its tasks: owner, write or read.
    """

    id: str
    name: str
    owner: str
    access: str


class VisibleLists:
    """The lists that a caller sees, oldest first."""

    def __init__(self, lists: Iterable[VisibleList] = (), *, is_complete: bool = True) -> None:
        """Take the lists.

        Args:
            lists: Oldest first.
            is_complete: Whether the caller sees no others.
        """
        self._by_id = {each.id: each for each in lists}
        self.is_complete = is_complete

    @property
    def all(self) -> list[VisibleList]:
        """All of them."""
        return list(self._by_id.values())

    def find_name(self, list_id: str) -> str | None:
        """Return the name of a list, None where the caller does not see it."""
        found = self._by_id.get(list_id)
        return None if found is None else found.name

    @cached_property
    def by_name(self) -> dict[str, list[VisibleList]]:
        """The lists of each name, in the form in which names are compared.

        Another user's list does not make a name of the caller's own lists ambiguous.
        """
        # The grammar is loaded when it is first used: it is not needed at start.
        from todo.quickadd.marks import fold_list_name  # noqa: PLC0415

        found: dict[str, list[VisibleList]] = defaultdict(list)
        for each in self._by_id.values():
            found[fold_list_name(each.name)].append(each)
        return {name: _prefer_own(lists) for name, lists in found.items()}

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The ids that each name can mean in quick add: of lists that can be written to."""
        names: dict[str, tuple[str, ...]] = {}
        for lists in self.by_name.values():
            written = [each for each in lists if each.access != "read"]
            if written:
                names[written[0].name] = tuple(each.id for each in written)
        return names

    def add(self, new: VisibleList) -> "VisibleLists":
        """Return these lists and a new one."""
        return VisibleLists([*self.all, new], is_complete=self.is_complete)


async def fetch_visible_lists(session: Session, caller: Caller) -> VisibleLists:
    """Read the lists that a caller sees; with a token for one list, only that one."""
    rows = await session.fetch(_LISTS, {"user": caller.user, "only_list": caller.list_id})
    lists = [VisibleList(str(list_id), *more) for list_id, *more in rows]
    own = [each for each in lists if each.access == "owner"]
    shared = [each for each in lists if each.access != "owner"]
    is_complete = max(len(own), len(shared)) <= MAX_LISTS
    kept = {each.id for some in (own, shared) for each in some[:MAX_LISTS]}
    return VisibleLists((each for each in lists if each.id in kept), is_complete=is_complete)


def _prefer_own(lists: list[VisibleList]) -> list[VisibleList]:
    return [each for each in lists if each.access == "owner"] or lists
