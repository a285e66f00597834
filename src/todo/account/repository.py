"""SQL statements for an account and all data that is deleted with it."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Executable,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    null,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.db.documents import SHARE_FIELDS, select_document
from todo.db.statement import SQLITE, Statement, follows
from todo.db.tables import (
    account,
    api_token,
    conversation,
    idempotency,
    journal,
    list_share,
    message,
    plan,
    task,
    task_list,
)

CHUNK = 2000
"""Maximum number of rows per statement, which keeps statements short."""

_OWNER: ColumnElement[str] = bindparam("owner")
_HERS = task.c.owner == _OWNER

FIND = Statement(select(account.c.zone, account.c.created_at).where(account.c.owner == _OWNER))
SET_ZONE = Statement(
    update(account).where(account.c.owner == bindparam("of")).values(zone=bindparam("zone"))
)


def _open_tasks(*columns: Any) -> Select[Any]:  # noqa: ANN401 - columns and tables alike
    return (
        select(*columns)
        .where(_HERS, task.c.completed_at.is_(None), follows(task.c.id))
        .order_by(task.c.id)
    )


def _reminded_by_day(dialect: str) -> Select[Any]:
    """Select the tasks with a due date and reminders among the next CHUNK open tasks."""
    some = _open_tasks(task).limit(CHUNK).subquery("t")
    wanted = some.c.due_date.is_not(None) & (cast(some.c.reminders, Text) != "[]")
    return select_document(dialect, some, lambda s: s.where(wanted).order_by(some.c.id))


REMINDED_BY_DAY = Statement(_reminded_by_day)
LAST_OF_CHUNK = Statement(_open_tasks(task.c.id).limit(1).offset(CHUNK - 1))


def _shares_with(dialect: str) -> Select[Any]:
    """Select a user's shares of other users' lists, with the owners of the lists."""
    source = (
        select(list_share, task_list.c.owner)
        .join(task_list, task_list.c.id == list_share.c.list_id)
        .where(list_share.c.user_id == _OWNER)
        .subquery("s")
    )
    return select_document(
        dialect,
        source,
        lambda s: s.order_by(source.c.owner, source.c.list_id),
        SHARE_FIELDS,
        [source.c.owner],
    )


SHARES_WITH = Statement(_shares_with)
REMOVE_SHARES = Statement(delete(list_share).where(list_share.c.user_id == _OWNER))


def _remove_some(table: Table, mine: ColumnElement[bool], key: ColumnElement[Any]) -> Statement:
    some = select(key).where(mine).limit(CHUNK)
    return Statement(delete(table).where(mine, key.in_(some)).returning(key))


_TALKS = conversation.c.owner == _OWNER
REMOVALS = (
    _remove_some(api_token, api_token.c.owner == _OWNER, api_token.c.id),
    _remove_some(idempotency, idempotency.c.user_id == _OWNER, idempotency.c.key),
    _remove_some(plan, plan.c.owner == _OWNER, plan.c.id),
    _remove_some(
        message,
        message.c.conversation_id.in_(select(conversation.c.id).where(_TALKS)),
        message.c.id,
    ),
    _remove_some(conversation, _TALKS, conversation.c.id),
    _remove_some(task, _HERS, task.c.id),
    _remove_some(task_list, task_list.c.owner == _OWNER, task_list.c.id),
)
"""Statements that delete up to CHUNK rows of a user, run in order, each until no rows are left."""

_KEPT = {"owner", "seq", "at", "commitment", "hash"}


def _erase(dialect: str) -> Executable:
    """Return the statement that erases journal content of an account without tasks or lists."""
    if dialect != SQLITE:
        # The backend's role can only append to the journal; the function runs as its owner.
        numbers = (bindparam(name, type_=BigInteger) for name in ("above", "until"))
        return select(func.erase_journal(bindparam("of", type_=Text), *numbers))
    return (
        update(journal)
        .where(
            journal.c.owner == bindparam("of"),
            journal.c.seq > bindparam("above"),
            journal.c.seq <= bindparam("until"),
        )
        .values({column.name: null() for column in journal.columns if column.name not in _KEPT})
    )


ERASE = Statement(_erase)
