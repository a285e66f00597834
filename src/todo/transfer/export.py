"""Export of accounts with all their data, as one JSON object per line.

The first line names the format. The accounts follow, sorted by owner, each with its lists, shares,
tasks, conversations and messages, sorted by ID. The output is the same, byte for byte, from both
databases. The journal is not exported: an import starts a new hash chain.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, FromClause, Select, bindparam, select, tuple_

from todo.core.timestamps import format_timestamp
from todo.db.documents import (
    CONVERSATION_FIELDS,
    LIST_FIELDS,
    MESSAGE_FIELDS,
    SHARE_FIELDS,
    TASK_FIELDS,
    as_bytes,
    select_document,
)
from todo.db.session import Session
from todo.db.statement import SQLITE, Statement, follows
from todo.db.tables import Id, account, conversation, list_share, message, task, task_list

FORMAT = b'{"todo-backend":{"format":1}}\n'
_BATCH = 1000
# Smaller batches, because a message may be a hundred times the size of a task.
_MESSAGES = 50
# Start key of the first page. No user ID is empty, so every share sorts after this ID and "".
_FIRST_ID = "00000000-0000-0000-0000-000000000000"

_TIMES = frozenset({"due_at", "completed_at", "created_at", "updated_at"})


def _by_bytes(dialect: str, column: Column[str]) -> ColumnElement[str]:
    """Return the column in byte order; PostgreSQL would sort by the database's collation."""
    return column if dialect == SQLITE else column.collate("C")


def _select_accounts(dialect: str) -> Select[Any]:
    name = _by_bytes(dialect, account.c.owner)
    query = select(account.c.owner, account.c.zone).where(name > bindparam("after"))
    return query.order_by(name).limit(_BATCH)


_ACCOUNTS = Statement(_select_accounts)
_ACCOUNT = Statement(
    select(account.c.owner, account.c.zone).where(account.c.owner == bindparam("owner"))
)


def _own(dialect: str, table: FromClause, fields: tuple[str, ...]) -> Select[tuple[bytes]]:
    own = (table.c.owner == bindparam("owner"), follows(table.c.id, "id"))
    return select_document(
        dialect, table, lambda s: s.where(*own).order_by(table.c.id).limit(_BATCH), fields
    )


def _shares(dialect: str) -> Select[tuple[bytes]]:
    lists = select(task_list.c.id).where(task_list.c.owner == bindparam("owner"))
    place = (list_share.c.list_id, _by_bytes(dialect, list_share.c.user_id))
    after = tuple_(bindparam("list_id", type_=Id), bindparam("user_id"))
    return select_document(
        dialect,
        list_share,
        lambda s: (
            s.where(place[0].in_(lists), tuple_(*place) > after).order_by(*place).limit(_BATCH)
        ),
        SHARE_FIELDS,
    )


def _messages(dialect: str) -> Select[tuple[bytes]]:
    own = select(conversation.c.id).where(conversation.c.owner == bindparam("owner"))
    place = (message.c.conversation_id, message.c.id)
    after = tuple_(bindparam("conversation_id", type_=Id), bindparam("id", type_=Id))
    return select_document(
        dialect,
        message,
        lambda s: (
            s.where(place[0].in_(own), tuple_(*place) > after).order_by(*place).limit(_MESSAGES)
        ),
        MESSAGE_FIELDS,
    )


# Statement and start key of the first page by JSON key, in the order that an import needs.
_PARTS: dict[bytes, tuple[Statement, dict[str, str | None]]] = {
    b"list": (Statement(lambda d: _own(d, task_list, LIST_FIELDS)), {"id": None}),
    b"share": (Statement(_shares), {"list_id": _FIRST_ID, "user_id": ""}),
    b"task": (Statement(lambda d: _own(d, task, TASK_FIELDS)), {"id": None}),
    b"conversation": (
        Statement(lambda d: _own(d, conversation, CONVERSATION_FIELDS)),
        {"id": None},
    ),
    b"message": (Statement(_messages), {"conversation_id": _FIRST_ID, "id": _FIRST_ID}),
}


async def export_accounts(session: Session, owner: str | None) -> AsyncIterator[bytes]:
    """Yield the lines of one account or, without an owner, of all accounts.

    The session must have a single snapshot, so that all lines are consistent.
    """
    yield FORMAT
    async for name, zone in _find_accounts(session, owner):
        yield b'{"account":%b}\n' % orjson.dumps({"owner": name, "zone": zone})
        for word, (statement, first) in _PARTS.items():
            async for document in _read(session, statement, {"owner": name, **first}):
                yield b'{"%b":%b}\n' % (word, _write(document))


async def _find_accounts(session: Session, owner: str | None) -> AsyncIterator[tuple[str, str]]:
    if owner is not None:
        for name, zone in await session.fetch(_ACCOUNT, {"owner": owner}):
            yield name, zone
        return
    after = ""
    while rows := await session.fetch(_ACCOUNTS, {"after": after}):
        for name, zone in rows:
            yield name, zone
        after = rows[-1][0]


async def _read(
    session: Session, statement: Statement, values: dict[str, str | None]
) -> AsyncIterator[bytes]:
    while rows := await session.fetch(statement, values):
        documents = [as_bytes(row[0]) for row in rows]
        for document in documents:
            yield document
        last: dict[str, str] = orjson.loads(documents[-1])
        values = {name: last[name] if name != "owner" else value for name, value in values.items()}


def _write(document: bytes) -> bytes:
    """Normalize a document: the databases format times, numbers and escapes differently."""
    record: dict[str, Any] = orjson.loads(document)
    for name in _TIMES & record.keys():
        if record[name] is not None:
            moment = datetime.fromisoformat(record[name])
            record[name] = format_timestamp(moment)
    if "position" in record:
        # This removes the sign of zero, which only one of the databases keeps.
        record["position"] = float(record["position"]) + 0.0
    if "tool_calls" in record:
        record["tool_calls"] = orjson.loads(record["tool_calls"])
        record["changed"] = bool(record["changed"])
        if record["status"] == "running":
            record["status"] = "interrupted"
    return orjson.dumps(record)
