"""Words that tasks are found by, texts in Normalization Form C, times with six digits on SQLite.

Revision ID: 0009

All of it in one transaction, in batches: a migration that is interrupted has changed nothing. What
is stored in another form becomes a change of its owner's journal; its entries stay as they are.
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

# Later rules for words have a revision of their own, which creates them again.
from todo.text.search_words import render_searched

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.Uuid(as_uuid=False).with_variant(sa.String(36), "sqlite")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_DAY = sa.Date().with_variant(sa.String(10), "sqlite")
# A task may have 10,000 characters, and its batch is in memory several times.
_BATCH = 100
_AGENT = "todo.admin migrate"
_PRIORITIES = ("none", "low", "medium", "high")
_TIMES = ("due_at", "completed_at", "created_at", "updated_at")
_LIMITS = {"title": 255, "description": 10_000, "tags": 50, "name": 100}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Row = dict[str, Any]


def upgrade() -> None:
    """Add the column of words, bring texts and times into one form, and index the words."""
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
    # With its triggers.
    op.drop_table("task_search")
    op.drop_table("task_words")


def _complete_times() -> None:
    """Give times without a fraction six digits: as text, they are not equal otherwise."""
    for column in ("due_key", *_TIMES):
        op.execute(
            f"UPDATE task SET {column} = substr({column}, 1, 19) || '.000000' ||"  # noqa: S608
            f" substr({column}, 20) WHERE length({column}) = 25"
        )


def _create_search() -> None:
    """Index the words of a task, with the term of the owner as one more of them."""
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("task", "words", server_default=None)
        op.execute(
            "CREATE INDEX ix_task_search ON task USING gin"
            " ((array_to_tsvector(string_to_array(btrim(words), ' '))))"
            # Each search reads all that waits to be sorted in: at the default of 4 MB it spent
            # most of its time there.
            " WITH (gin_pending_list_limit = 128)"
        )
        # Otherwise searches are planned without statistics of the words until autovacuum comes.
        op.execute("ANALYZE task")
        return
    # A row's number may change in VACUUM unless it is a column; the ids of tasks are text.
    op.execute(
        "CREATE TABLE task_search (number INTEGER PRIMARY KEY, task_id VARCHAR(36) NOT NULL UNIQUE"
        " REFERENCES task (id) ON DELETE CASCADE)"
    )
    # Words are folded and have only blanks between them: this tokenizer changes none.
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
    # Before the row of its number goes with it.
    op.execute(f"CREATE TRIGGER task_delete BEFORE DELETE ON task BEGIN {forget}; END")


class _Change(NamedTuple):
    """An entry of the journal."""

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
        # As the driver takes it: SQLite's is the text itself.
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
        # An import may have brought the least id: the first batch has no bound.
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
        """Append changes to the journals of their owners, as the program does."""
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
            # The size of the account is counted again when a quota needs it.
            values = {"seq": seq, "hash": head, "tasks": None, "size": None}
            self._connection.execute(sa.update(_ACCOUNT).where(of_owner).values(values))


def _commit(salt: bytes, change: _Change) -> bytes:
    """Return the commitment to an entry's content; this and the hash are the journal's format."""
    owner, kind, entity_id, list_id, before, after = change
    who = [owner, None, _AGENT, None, None]
    content = orjson.dumps([*who, "update", kind, entity_id, list_id, before, after])
    return hashlib.sha256(salt + content).digest()


def _link(head: bytes, chain_id: UUID, seq: int, at: datetime, commitment: bytes) -> bytes:
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    place = chain_id.bytes + seq.to_bytes(8) + microseconds.to_bytes(8, signed=True)
    return hashlib.sha256(head + place + commitment).digest()


def _normalize(text: str, name: str) -> str:
    """Return a text in Normalization Form C, or as it is where that would be too long."""
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
    """There is no way back: a restored backup is."""
    msg = "restore a backup from before revision 0009"
    raise RuntimeError(msg)
