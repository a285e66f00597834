"""Databases as former revisions of the program left them, in bulk."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from todo.db import sqlite
from todo.db.migrate import SCRIPTS
from todo.writes.hash_chain import GENESIS, Entry, commit, link

BEFORE_WORDS = "0004"
START = datetime(2026, 1, 1, tzinfo=UTC)
DECOMPOSED, COMPOSED = "re\u0301sume\u0301", "r\u00e9sum\u00e9"
# Two characters in Normalization Form C: 255 of them are too long there.
GROWS = "\u0958" * 255
TITLES = ("plain", f"{DECOMPOSED} one", f"{COMPOSED} two", "½ cup", "明日までに報告書を書く", GROWS)
TAGS: tuple[list[str], ...] = (
    [],
    ["home"],
    [DECOMPOSED, COMPOSED],
    [DECOMPOSED],
    [COMPOSED, "home"],
)
LIST_NAMES = (DECOMPOSED, COMPOSED, "plain")
OWNERS = ("alice", "bob")
_FIELDS = (
    *("id", "owner", "list_id", "parent_id", "title", "description", "priority", "tags"),
    *("due_date", "due_at", "due_zone", "recurrence", "recurrence_from", "reminders", "position"),
    *("is_completed", "completed_at", "created_at", "updated_at", "previous_id", "version"),
)
_SALT = b"0123456789abcdef"

Row = dict[str, Any]


def migrate_to(engine: sa.Engine, revision: str) -> None:
    """Bring an empty database to a revision."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def open_engine(url: str) -> sa.Engine:
    """Open a database for statements that the program does not make."""
    engine = sa.create_engine(url.replace("+aiosqlite", ""))
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", sqlite.prepare_connection)
        sa.event.listen(engine, "begin", sqlite.begin)
    return engine


def fill(engine: sa.Engine, count: int) -> None:
    """Store tasks and lists with their journals, as revision 0004 of the program did.

    Args:
        engine: Of a database of that revision.
        count: How many tasks; each tenth is written in a way that is no longer used.
    """
    for number, owner in enumerate(OWNERS):
        rows = itertools.islice(_tasks(owner, number), count // len(OWNERS))
        while batch := list(itertools.islice(rows, 10_000)):
            _store(engine, owner, batch)


def _tasks(owner: str, owner_number: int) -> Iterator[Row]:
    for number in itertools.count():
        at = START + timedelta(seconds=number, microseconds=number % 3 * 250_000)
        is_odd = number % 10 == 0
        due = [
            {},
            {"due_at": _render(at), "due_zone": "UTC"},
            {"due_date": at.date().isoformat()},
        ][number % 3]
        yield {
            **dict.fromkeys(_FIELDS),
            "id": str(UUID(int=_number_id(owner_number, number))),
            "owner": owner,
            "title": TITLES[number // 10 % len(TITLES)] if is_odd else f"task {number}",
            "description": DECOMPOSED if number % 20 == 0 else None,
            "priority": "none",
            "tags": TAGS[number // 10 % len(TAGS)] if is_odd else ["home"],
            "recurrence_from": "schedule",
            "reminders": [],
            "position": float(number),
            "is_completed": False,
            # Undoing an entry of revision 0003 put times without digits back.
            "created_at": at.isoformat() if is_odd else _render(at),
            "updated_at": at.isoformat() if is_odd else _render(at),
            "version": 1,
            **due,
        }


def _number_id(owner_number: int, number: int) -> int:
    """Return the id of a task as a number; the first one is that of an import, the least of all."""
    if owner_number == number == 0:
        return 0
    return (owner_number + 1) << 100 | 7 << 76 | 8 << 60 | number


def _store(engine: sa.Engine, owner: str, tasks: list[Row]) -> None:
    with engine.begin() as connection:
        found = connection.execute(_ACCOUNT, {"owner": owner}).one_or_none()
        lists: list[Row] = []
        chain_id, seq, head = UUID(int=len(owner)), 0, GENESIS
        if found is None:
            lists = list(_lists(owner))
            connection.execute(_ADD_ACCOUNT, {"owner": owner, "chain_id": str(chain_id)})
            connection.execute(_ADD_LIST, lists)
        else:
            seq, head = found.seq, bytes(found.hash)
        journal = []
        changed = [("list", each) for each in lists] + [("task", each) for each in tasks]
        for kind, image in changed:
            entry = Entry(
                at=_render(START),
                actor=owner,
                operation="create",
                kind=kind,
                entity_id=image["id"],
                list_id=image["id"] if kind == "list" else None,
                after=orjson.dumps(image).decode(),
            )
            seq += 1
            commitment = commit(_SALT, entry)
            head = link(head, chain_id, seq, entry.at, commitment)
            values = {name: getattr(entry, name) for name in Entry.__slots__}
            hashes = {"salt": _SALT, "commitment": commitment, "hash": head}
            journal.append({**values, "owner": owner, "seq": seq, **hashes})
        connection.execute(_ADD_ENTRY, journal)
        connection.execute(_ADVANCE, {"owner": owner, "seq": seq, "hash": head})
        never = "9999-12-31T00:00:00+00:00"
        rows = [
            {
                **each,
                "priority": 0,
                "tags": json.dumps(each["tags"], ensure_ascii=False),
                "reminders": "[]",
                "due_key": each["due_at"]
                or (each["due_date"] and f"{each['due_date']}T00:00:00.000000+00:00")
                or never,
            }
            for each in tasks
        ]
        connection.execute(_ADD_TASK, rows)
        tags = [
            {"owner": owner, "tag": tag, "task_id": each["id"]}
            for each in tasks
            for tag in each["tags"]
        ]
        connection.execute(_ADD_TAG, tags)


def _lists(owner: str) -> Iterator[Row]:
    for number, name in enumerate(LIST_NAMES):
        yield {
            "id": str(UUID(int=len(owner) << 100 | 7 << 76 | 9 << 60 | number)),
            "owner": owner,
            "name": name,
            "position": float(number),
            "created_at": _render(START),
            "updated_at": _render(START),
            "version": 1,
        }


def _render(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


_TASK_COLUMNS = (*(name for name in _FIELDS if name != "is_completed"), "due_key")


def _insert(table: str, columns: tuple[str, ...]) -> sa.TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    return sa.text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(columns)})")  # noqa: S608


_ADD_TASK = _insert("task", _TASK_COLUMNS)
_ADD_LIST = _insert(
    "list", ("id", "owner", "name", "position", "created_at", "updated_at", "version")
)
_ADD_TAG = _insert("task_tag", ("owner", "tag", "task_id"))
_ADD_ENTRY = _insert(
    "journal",
    (
        *("owner", "seq", "at", "actor", "token_id", "agent", "model", "run_id", "operation"),
        *("kind", "entity_id", "list_id", "before", "after", "salt", "commitment", "hash"),
    ),
)
_ACCOUNT = sa.text("SELECT seq, hash FROM account WHERE owner = :owner")
_ADD_ACCOUNT = sa.text(
    "INSERT INTO account (owner, zone, chain_id, seq, hash, created_at) VALUES"
    " (:owner, 'UTC', :chain_id, 0, :hash, '2026-01-01T00:00:00.000000+00:00')"
).bindparams(hash=GENESIS)
_ADVANCE = sa.text("UPDATE account SET seq = :seq, hash = :hash WHERE owner = :owner")
