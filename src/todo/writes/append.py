"""Journal append on PostgreSQL: one statement that locks, creates, hashes and records.

The statement saves the round trips between locking the account (`LOCKED`), creating an entity and
appending its journal entry. It computes the hash as `todo.writes.hash_chain` does. Such an entry
has no document `before`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    CTE,
    LargeBinary,
    Select,
    String,
    Text,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.db.tables import account, journal
from todo.writes.account_lock import LOCKED
from todo.writes.hash_chain import Entry, open_content, write_instant

_GIVEN = (
    *("at", "actor", "token_id", "agent", "model", "run_id"),
    *("operation", "kind", "entity_id", "list_id"),
)


def appending(changed: CTE) -> Select[Any]:
    """Return the statement that appends the entry of a created task.

    The column `after` of `changed` has the task's document as text, in at most one row. The
    statement returns the columns of `LOCKED` after the entry, and the document. Its parameters
    include those of `entry_values`.
    """
    salt: ColumnElement[bytes] = bindparam("salt", type_=LargeBinary)
    opened = bindparam("opened", type_=Text)
    content = opened.concat(cast(func.to_json(changed.c.after), Text)).concat(literal_column("']'"))
    commitment = func.sha256(_join(salt, func.convert_to(content, literal_column("'UTF8'"))))
    committed = (
        select(*LOCKED.c, changed.c.after, commitment.label("commitment"))
        .select_from(LOCKED.join(changed, literal_column("true")))
        .cte("committed")
        # Otherwise PostgreSQL computes the commitment again for each use.
        .prefix_with("MATERIALIZED")
    )
    seq = committed.c.seq + literal_column("1")
    hashed = _join(
        committed.c.hash,
        func.uuid_send(committed.c.chain_id),
        func.int8send(seq),
        bindparam("instant", type_=LargeBinary),
        committed.c.commitment,
    )
    entry = select(
        committed.c.zone,
        committed.c.chain_id,
        seq.label("seq"),
        func.sha256(hashed).label("hash"),
        # One task is created; see `todo.writes.storage_quota`.
        (committed.c.tasks + literal_column("1")).label("tasks"),
        (committed.c.size + func.octet_length(committed.c.after)).label("size"),
        committed.c.after,
        committed.c.commitment,
    ).cte("entry")
    values: dict[str, Any] = {
        "owner": bindparam("owner", type_=String),
        **{name: bindparam(name, type_=journal.c[name].type) for name in _GIVEN},
        **{name: entry.c[name] for name in ("seq", "after", "commitment", "hash")},
        # This is the first entry of its request.
        "request_seq": entry.c.seq,
        "salt": salt,
    }
    appended = insert(journal).from_select(
        list(values), select(*values.values()).select_from(entry)
    )
    advanced = (
        update(account)
        .where(account.c.owner == bindparam("owner"))
        .values({name: entry.c[name] for name in ("seq", "hash", "tasks", "size")})
    )
    result = select(*(entry.c[column.name] for column in LOCKED.c), entry.c.after)
    return result.add_cte(appended.cte("appended"), advanced.cte("advanced"))


def entry_values(entry: Entry, salt: bytes) -> Mapping[str, Any]:
    """Return the parameters that a statement from `appending` needs for its entry."""
    return {
        **{name: getattr(entry, name) for name in _GIVEN},
        "salt": salt,
        "opened": open_content(entry).decode(),
        "instant": write_instant(entry.at),
    }


def _join(*parts: ColumnElement[Any]) -> ColumnElement[bytes]:
    whole, *others = parts
    for part in others:
        whole = whole.op("||", return_type=LargeBinary())(part)
    return whole
