"""Journal append within PostgreSQL: one statement that changes, hashes and records.

It computes the chain of `todo.writes.hash_chain`. It locks the account (`LOCKED`), creates
something and its entry, which saves the round trips in between. Such an entry has no document
`before`.
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
    """Select the columns of `LOCKED` as they are after the entry, and what was written.

    Args:
        changed: The document as text, `after`, of what the statement has changed; at most one row.
            The rest of the entry comes as the parameters of `entry_values`.
    """
    salt: ColumnElement[bytes] = bindparam("salt", type_=LargeBinary)
    opened = bindparam("opened", type_=Text)
    content = opened.concat(cast(func.to_json(changed.c.after), Text)).concat(literal_column("']'"))
    commitment = func.sha256(_join(salt, func.convert_to(content, literal_column("'UTF8'"))))
    committed = (
        select(*LOCKED.c, changed.c.after, commitment.label("commitment"))
        .select_from(LOCKED.join(changed, literal_column("true")))
        .cte("committed")
        # Otherwise the commitment is computed again wherever it is used.
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
        # It makes one task; see `todo.writes.storage_quota`.
        (committed.c.tasks + literal_column("1")).label("tasks"),
        (committed.c.size + func.octet_length(committed.c.after)).label("size"),
        committed.c.after,
        committed.c.commitment,
    ).cte("entry")
    values: dict[str, Any] = {
        "owner": bindparam("owner", type_=String),
        **{name: bindparam(name, type_=journal.c[name].type) for name in _GIVEN},
        **{name: entry.c[name] for name in ("seq", "after", "commitment", "hash")},
        # Such a statement is the first of its request.
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
    """Return the parameters that `appending` adds to those of the change itself."""
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
