"""Visibility: SQL conditions for the tasks and lists that a caller can see or change.

A caller sees the user's resources and shared lists; a token may be restricted to one list.
"""

from typing import Any

from sqlalchemy import (
    and_,
    bindparam,
    exists,
    or_,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.core.caller import Caller
from todo.db.tables import Id, list_share

_USER: ColumnElement[str] = bindparam("user")

_TOKEN_LIST_ID = bindparam("only_list", type_=Id)


def _shared(list_id: ColumnElement[Any], *, to_write: bool) -> ColumnElement[bool]:
    share = (list_share.c.list_id == list_id) & (list_share.c.user_id == _USER)
    if to_write:
        share &= list_share.c.access == "write"
    return exists().where(share)


def can_see(owner: ColumnElement[Any], list_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition for resources that the caller can see."""
    return and_(
        or_(owner == _USER, _shared(list_id, to_write=False)),
        or_(_TOKEN_LIST_ID.is_(None), list_id == _TOKEN_LIST_ID),
    )


def can_write(owner: ColumnElement[Any], list_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition for visible resources that the caller can change."""
    return or_(owner == _USER, _shared(list_id, to_write=True))


def visibility_params(caller: Caller) -> dict[str, Any]:
    """Return the parameters for the conditions of `can_see` and `can_write`."""
    return {"user": caller.user, "only_list": caller.list_id}
