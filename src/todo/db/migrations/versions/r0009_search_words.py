"""Store search words of tasks; convert texts to NFC and, on SQLite, times to six-digit fractions.

Revision ID: 0009

The migration runs in one transaction, in batches: if it is interrupted, nothing has changed. Each
task or list whose text changes gets a new journal entry; existing entries stay unchanged.
"""

import hashlib
import secrets
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import sqlalchemy as sa
from alembic import op

# If the rules for words change, a later revision computes the words again.
from todo.text.search_words import render_searched

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.Uuid(as_uuid=False).with_variant(sa.String(36), "sqlite")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_DAY = sa.Date().with_variant(sa.String(10), "sqlite")
# A task can have more than 10,000 characters, and a batch is in memory several times.
_BATCH = 100
_AGENT = "todo.admin migrate"
_PRIORITIES = ("none", "low", "medium", "high")
_TIMES = ("due_at", "completed_at", "created_at", "updated_at")
_LIMITS = {"title": 255, "description": 10_000, "tags": 50, "name": 100}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Row = dict[str, Any]


def upgrade() -> None:
    """Add the column of words, convert texts and times, and index the words."""
    _drop_search()
    op.add_column("task", sa.Column("words", sa.Text(), nullable=False, server_default=""))
    if op.get_context().dialect.name == "sqlite":
        _complete_times()
    _Conversion().run()
    _create_search()


def _drop_search() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_index("ix_task_search", "task")
        return
    for trigger in ("task_insert", "task_update"):
        op.execute(f"DROP TRIGGER {trigger}")
    # This also drops its triggers.
    op.drop_table("task_search")
    op.drop_table("task_words")


def _complete_times() -> None:
    """Add a six-digit fraction to times without one, so that equal times are equal as text."""
    for column in ("due_key", *_TIMES):
        op.execute(
            f"UPDATE task SET {column} = substr({column}, 1, 19) || '.000000' ||"  # noqa: S608
            f" substr({column}, 20) WHERE length({column}) = 25"
        )


def _create_search() -> None:
    """Index the words of tasks, which include a term for the owner."""
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("task", "words", server_default=None)
        op.execute(
            "CREATE INDEX ix_task_search ON task USING gin"
            " ((array_to_tsvector(string_to_array(btrim(words), ' '))))"
            # Each search scans the whole pending list; with the default limit of 4 MB, it spent
            # most of its time there.
            " WITH (gin_pending_list_limit = 128)"
        )
        # Otherwise, searches are planned without statistics of the words until autovacuum runs.
        op.execute("ANALYZE task")
        return
    # VACUUM may change a rowid unless it is a declared column; task IDs are text.
    op.execute(
        "CREATE TABLE task_search (number INTEGER PRIMARY KEY, task_id VARCHAR(36) NOT NULL UNIQUE"
        " REFERENCES task (id) ON DELETE CASCADE)"
    )
    # Words are already folded and separated only by spaces, so this tokenizer does not change them.
    op.execute(
        "CREATE VIRTUAL TABLE task_words USING fts5(words, content='', detail='none',"
        " columnsize=0, tokenize='ascii')"
    )
    op.execute("INSERT INTO task_search (task_id) SELECT id FROM task ORDER BY id")
    op.execute(
        "INSERT INTO task_words (rowid, words)"
        " SELECT number, words FROM task_search JOIN task ON id = task_id ORDER BY number"
    )
    forget = (
        "INSERT INTO task_words (task_words, rowid, words)"
        " SELECT 'delete', number, old.words FROM task_search WHERE task_id = old.id"
    )
    learn = (
        "INSERT INTO task_words (rowid, words)"
        " SELECT number, new.words FROM task_search WHERE task_id = new.id"
    )
    op.execute(
        "CREATE TRIGGER task_insert AFTER INSERT ON task BEGIN"  # noqa: S608
        f" INSERT INTO task_search (task_id) VALUES (new.id); {learn}; END"
    )
    op.execute(
        "CREATE TRIGGER task_update AFTER UPDATE OF words ON task"
        f" WHEN new.words IS NOT old.words BEGIN {forget}; {learn}; END"
    )
    # A BEFORE trigger, because the deletion cascades to the row with the number.
    op.execute(f"CREATE TRIGGER task_delete BEFORE DELETE ON task BEGIN {forget}; END")


class _Change(NamedTuple):
    """Change that becomes a journal entry."""

    owner: str
    kind: str
    entity_id: str
    list_id: str | None
    before: str
    after: str


class _Conversion:
    """Conversion of stored rows, batch by batch."""

    def __init__(self) -> None:
        self._connection = op.get_bind()
        self._now = datetime.now(UTC)
        # In the format that the driver accepts: for SQLite, text.
        self._moment: datetime | str = self._now
        if self._connection.dialect.name == "sqlite":
            self._moment = self._now.isoformat(timespec="microseconds")

    def run(self) -> None:
        for rows in self._read(_LIST):
            renamed = [each for each in rows if _normalize(each["name"], "name") != each["name"]]
            self._store_lists(renamed)
        for rows in self._read(_TASK):
            self._store_words(rows)
            self._store_tasks([each for each in rows if _normalize_task(each) != each])

    def _read(self, table: sa.TableClause) -> Iterator[list[_Row]]:
        # No bound for the first batch, because an imported task can have the smallest ID.
        query = sa.select(*table.c).order_by(table.c.id).limit(_BATCH)
        following = query.where(table.c.id > sa.bindparam("after", type_=_ID))
        found = self._connection.execute(query).mappings().all()
        while found:
            yield [dict(each) for each in found]
            last = {"after": found[-1]["id"]}
            found = self._connection.execute(following, last).mappings().all()

    def _store_words(self, rows: list[_Row]) -> None:
        texts = [(each["owner"], each["title"], each["description"]) for each in rows]
        values = [
            {"of": each["id"], "searched": render_searched(*text)}
            for each, text in zip(rows, texts, strict=True)
        ]
        self._connection.execute(_SET_WORDS, values)

    def _store_lists(self, rows: list[_Row]) -> None:
        entries = []
        for before in rows:
            after = before | {"name": _normalize(before["name"], "name")} | self._touch(before)
            self._change(_LIST, after, "name")
            images = _render_list(before), _render_list(after)
            entries.append(_Change(before["owner"], "list", before["id"], before["id"], *images))
        self._record(entries)

    def _store_tasks(self, rows: list[_Row]) -> None:
        entries = []
        for before in rows:
            after = _normalize_task(before) | self._touch(before)
            self._change(_TASK, after, "title", "description", "tags")
            if after["tags"] != before["tags"]:
                of_task = {"owner": after["owner"], "task_id": after["id"]}
                self._connection.execute(_UNTAG, of_task)
                for tag in after["tags"]:
                    self._connection.execute(_TAG.insert(), of_task | {"tag": tag})
            place = before["id"], before["list_id"]
            images = _render_task(before), _render_task(after)
            entries.append(_Change(before["owner"], "task", *place, *images))
        self._record(entries)

    def _touch(self, row: _Row) -> _Row:
        return {"updated_at": self._moment, "version": row["version"] + 1}

    def _change(self, table: sa.TableClause, row: _Row, *names: str) -> None:
        values = {name: row[name] for name in (*names, "updated_at", "version")}
        self._connection.execute(sa.update(table).where(table.c.id == row["id"]).values(values))

    def _record(self, entries: list[_Change]) -> None:
        """Append changes to the journals of their owners, in the same format as the program."""
        of_owners = defaultdict(list)
        for entry in entries:
            of_owners[entry.owner].append(entry)
        for owner, changes in of_owners.items():
            of_owner = _ACCOUNT.c.owner == owner
            account = self._connection.execute(sa.select(_ACCOUNT).where(of_owner)).one()
            seq, head, rows = account.seq, bytes(account.hash), []
            request_seq = seq + 1
            for each in changes:
                seq += 1
                salt = secrets.token_bytes(16)
                commitment = _commit(salt, each)
                head = _link(head, UUID(account.chain_id), seq, self._now, commitment)
                rows.append(
                    {
                        **each._asdict(),
                        "seq": seq,
                        "at": self._moment,
                        "actor": owner,
                        "agent": _AGENT,
                        "operation": "update",
                        "request_seq": request_seq,
                        "salt": salt,
                        "commitment": commitment,
                        "hash": head,
                    }
                )
            self._connection.execute(_JOURNAL.insert(), rows)
            # The storage use of the account is counted again when a quota needs it.
            values = {"seq": seq, "hash": head, "tasks": None, "size": None}
            self._connection.execute(sa.update(_ACCOUNT).where(of_owner).values(values))


def _commit(salt: bytes, change: _Change) -> bytes:
    """Return the commitment to an entry's content, in the journal format of this revision."""
    owner, kind, entity_id, list_id, before, after = change
    who = [owner, None, _AGENT, None, None]
    content = orjson.dumps([*who, "update", kind, entity_id, list_id, before, after])
    return hashlib.sha256(salt + content).digest()


def _link(head: bytes, chain_id: UUID, seq: int, at: datetime, commitment: bytes) -> bytes:
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    place = chain_id.bytes + seq.to_bytes(8) + microseconds.to_bytes(8, signed=True)
    return hashlib.sha256(head + place + commitment).digest()


def _normalize(text: str, name: str) -> str:
    """Return a text in NFC, or unchanged if its NFC would be too long."""
    normalized = unicodedata.normalize("NFC", text)
    return normalized if len(normalized) <= _LIMITS[name] else text


def _normalize_task(row: _Row) -> _Row:
    return row | {
        "title": _normalize(row["title"], "title"),
        "description": row["description"] and _normalize(row["description"], "description"),
        "tags": list(dict.fromkeys(_normalize(tag, "tags") for tag in row["tags"])),
    }


def _render_task(row: _Row) -> str:
    names = [each.name for each in _TASK.c if each.name != "words"]
    image = {name: _plain(row[name]) for name in names}
    image["priority"] = _PRIORITIES[row["priority"]]
    image["is_completed"] = row["completed_at"] is not None
    return orjson.dumps(image).decode()


def _render_list(row: _Row) -> str:
    return orjson.dumps({name: _plain(value) for name, value in row.items()}).decode()


def _plain(value: Any) -> Any:  # noqa: ANN401 - of any column
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value


def _table(name: str, /, **kinds: Any) -> sa.TableClause:  # noqa: ANN401 - types of columns
    return sa.table(name, *(sa.column(column, kind) for column, kind in kinds.items()))


_LIST = _table(
    "list",
    id=_ID,
    owner=sa.String(),
    name=sa.String(),
    position=sa.Double(),
    created_at=_TIME,
    updated_at=_TIME,
    version=sa.Integer(),
)
_TASK = _table(
    "task",
    id=_ID,
    owner=sa.String(),
    list_id=_ID,
    parent_id=_ID,
    title=sa.String(),
    description=sa.Text(),
    priority=sa.SmallInteger(),
    tags=sa.JSON(),
    due_date=_DAY,
    due_at=_TIME,
    due_zone=sa.String(),
    recurrence=sa.String(),
    recurrence_from=sa.String(),
    reminders=sa.JSON(),
    position=sa.Double(),
    completed_at=_TIME,
    created_at=_TIME,
    updated_at=_TIME,
    previous_id=_ID,
    version=sa.Integer(),
    words=sa.Text(),
)
_SET_WORDS = (
    sa.update(_TASK)
    .where(_TASK.c.id == sa.bindparam("of", type_=_ID))
    .values(words=sa.bindparam("searched", type_=sa.Text()))
)
_TAG = _table("task_tag", owner=sa.String(), tag=sa.String(), task_id=_ID)
_UNTAG = sa.delete(_TAG).where(_TAG.c.task_id == sa.bindparam("task_id", type_=_ID))
_JOURNAL = _table(
    "journal",
    owner=sa.String(),
    seq=sa.BigInteger(),
    at=_TIME,
    actor=sa.String(),
    agent=sa.String(),
    operation=sa.String(),
    kind=sa.String(),
    entity_id=sa.String(),
    list_id=_ID,
    before=sa.Text(),
    after=sa.Text(),
    request_seq=sa.BigInteger(),
    salt=sa.LargeBinary(),
    commitment=sa.LargeBinary(),
    hash=sa.LargeBinary(),
)
_ACCOUNT = _table(
    "account",
    owner=sa.String(),
    chain_id=_ID,
    seq=sa.BigInteger(),
    hash=sa.LargeBinary(),
    tasks=sa.BigInteger(),
    size=sa.BigInteger(),
)


def downgrade() -> None:
    """Raise an error: this revision can only be reverted by restoring a backup."""
    msg = "restore a backup from before revision 0009"
    raise RuntimeError(msg)
