"""Add full-text search, and a first journal entry for each existing task.

Revision ID: 0003
"""

import hashlib
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.Uuid(as_uuid=False).with_variant(sa.String(36), "sqlite")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_BATCH = 1000


def upgrade() -> None:
    """Create the search index, and start the journals."""
    _create_search()
    _begin_journals()


def _create_search() -> None:
    """Index the words of title and description, and a term for the owner."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "CREATE INDEX ix_task_search ON task USING gin ((to_tsvector('simple'::regconfig,"
            " translate(title || ' ' || coalesce(description, ''),"
            " '!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 32)))"
            " || array_to_tsvector(ARRAY[':' || md5(owner)])))"
            # Each search scans the whole pending list; with the default limit of 4 MB, it spent
            # most of its time there.
            " WITH (gin_pending_list_limit = 128)"
        )
        return
    # VACUUM may change a rowid unless it is a declared column; task IDs are text.
    op.execute(
        "CREATE TABLE task_search (number INTEGER PRIMARY KEY, task_id VARCHAR(36) NOT NULL UNIQUE"
        " REFERENCES task (id) ON DELETE CASCADE, owner VARCHAR(255) NOT NULL,"
        " title VARCHAR(255) NOT NULL, description TEXT)"
    )
    op.execute(
        "CREATE VIRTUAL TABLE task_words USING fts5(title, description, content='task_search',"
        " content_rowid='number', tokenize=\"unicode61 remove_diacritics 0\")"
    )
    delete = (
        "INSERT INTO task_words (task_words, rowid, title, description)"
        " VALUES ('delete', old.number, old.title, old.description)"
    )
    insert = (
        "INSERT INTO task_words (rowid, title, description)"
        " VALUES (new.number, new.title, new.description)"
    )
    op.execute(f"CREATE TRIGGER task_search_insert AFTER INSERT ON task_search BEGIN {insert}; END")
    op.execute(f"CREATE TRIGGER task_search_delete AFTER DELETE ON task_search BEGIN {delete}; END")
    op.execute(
        "CREATE TRIGGER task_search_update AFTER UPDATE ON task_search"
        f" BEGIN {delete}; {insert}; END"
    )
    op.execute(
        "CREATE TRIGGER task_insert AFTER INSERT ON task BEGIN INSERT INTO task_search"
        " (task_id, owner, title, description)"
        " VALUES (new.id, new.owner, new.title, new.description); END"
    )
    op.execute(
        "CREATE TRIGGER task_update AFTER UPDATE OF title, description ON task"
        " WHEN new.title IS NOT old.title OR new.description IS NOT old.description"
        " BEGIN UPDATE task_search SET title = new.title, description = new.description"
        " WHERE task_id = new.id; END"
    )
    op.execute(
        "INSERT INTO task_search (task_id, owner, title, description)"
        " SELECT id, owner, title, description FROM task"
    )


def _begin_journals() -> None:
    connection = op.get_bind()
    tasks = sa.table(
        "task", *(sa.column(name) for name in ("id", "owner", "title", "description", "position"))
    )
    times = [
        sa.cast(sa.column(name, _TIME), sa.String).label(name)
        for name in ("completed_at", "created_at", "updated_at")
    ]
    query = sa.select(*tasks.c, *times).select_from(tasks).order_by(tasks.c.owner, tasks.c.id)
    rows = connection.execute(query).mappings().all()
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    for owner, own in groupby(rows, key=lambda row: row["owner"]):
        chain_id = uuid.uuid4()
        head, seq = b"", 0
        entries: list[dict[str, Any]] = []
        for seq, row in enumerate(own, 1):
            task_id, after = str(row["id"]), _render(row)
            salt = secrets.token_bytes(16)
            commitment = _commit(salt, owner, task_id, after)
            head = _link(head, chain_id, seq, now, commitment)
            entries.append(
                {
                    "owner": owner,
                    "seq": seq,
                    "at": _moment(now),
                    "actor": owner,
                    "operation": "create",
                    "kind": "task",
                    "entity_id": task_id,
                    "after": after,
                    "salt": salt,
                    "commitment": commitment,
                    "hash": head,
                }
            )
        for start in range(0, len(entries), _BATCH):
            connection.execute(_JOURNAL.insert(), entries[start : start + _BATCH])
        connection.execute(
            _ACCOUNT.insert(),
            {
                "owner": owner,
                "zone": "UTC",
                "chain_id": str(chain_id),
                "seq": seq,
                "hash": head,
                "created_at": _moment(now),
            },
        )


def _commit(salt: bytes, owner: str, task_id: str, after: str) -> bytes:
    """Return the commitment to the creation of a task, in the journal format of this revision."""
    unknown = [None] * 4
    content = [owner, *unknown, "create", "task", task_id, None, None, after]
    return hashlib.sha256(salt + orjson.dumps(content)).digest()


def _link(head: bytes, chain_id: uuid.UUID, seq: int, at: str, commitment: bytes) -> bytes:
    """Return the hash of an entry that follows `head`."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (datetime.fromisoformat(at) - epoch) // timedelta(microseconds=1)
    place = chain_id.bytes + seq.to_bytes(8) + microseconds.to_bytes(8, signed=True)
    return hashlib.sha256(head + place + commitment).digest()


def _moment(text: str) -> datetime | str:
    """Return a time as the driver accepts it; for SQLite, the text itself."""
    sqlite = op.get_context().dialect.name == "sqlite"
    return text if sqlite else datetime.fromisoformat(text)


def _render(row: sa.RowMapping) -> str:
    """Return the JSON document of a task, with defaults for the fields that revision 0002 added."""
    times = {
        name: row[name] and datetime.fromisoformat(row[name]).isoformat()
        for name in ("completed_at", "created_at", "updated_at")
    }
    image = {
        "id": str(row["id"]),
        "owner": row["owner"],
        "list_id": None,
        "parent_id": None,
        "title": row["title"],
        "description": row["description"],
        "priority": "none",
        "tags": [],
        "due_date": None,
        "due_at": None,
        "due_zone": None,
        "recurrence": None,
        "recurrence_from": "schedule",
        "reminders": [],
        "position": row["position"],
        "is_completed": row["completed_at"] is not None,
        **times,
        "previous_id": None,
        "version": 1,
    }
    return orjson.dumps(image).decode()


def _table(name: str, **kinds: Any) -> sa.TableClause:  # noqa: ANN401 - types of columns
    return sa.table(name, *(sa.column(column, kind) for column, kind in kinds.items()))


_JOURNAL = _table(
    "journal",
    owner=sa.String(),
    seq=sa.BigInteger(),
    at=_TIME,
    actor=sa.String(),
    operation=sa.String(),
    kind=sa.String(),
    entity_id=sa.String(),
    after=sa.Text(),
    salt=sa.LargeBinary(),
    commitment=sa.LargeBinary(),
    hash=sa.LargeBinary(),
)
_ACCOUNT = _table(
    "account",
    owner=sa.String(),
    zone=sa.String(),
    chain_id=_ID,
    seq=sa.BigInteger(),
    hash=sa.LargeBinary(),
    created_at=_TIME,
)


def downgrade() -> None:
    """Raise an error: this revision can only be reverted by restoring a backup."""
    msg = "restore a backup from before revision 0002"
    raise RuntimeError(msg)
