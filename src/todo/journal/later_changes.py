"""Later changes of the entities that an undo restores, and their conflicts with the undo.

A later change conflicts if the undo would destroy its effect. It does not conflict if the entity
has returned to a state from before or during the undone changes. So a run can be undone again after
its undo was undone, newer changes can be undone first, and one entity that is already undone does
not prevent the undo of the others.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, bindparam, literal_column, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from todo.db.session import Session
from todo.db.statement import Statement, unnest_json
from todo.db.tables import Id, journal
from todo.journal.repository import MAX_SEQ
from todo.journal.undo_scope import ENTRY_COLUMNS, UndoEntry, parse_entry

_MAX_SHOWN = 3

_OF_KIND = (
    (journal.c.owner == bindparam("owner"))
    & (journal.c.kind == bindparam("kind"))
    & (journal.c.operation != "remind")
)
_OF_THING = _OF_KIND & (journal.c.entity_id == bindparam("id")) & (journal.c.seq > bindparam("seq"))
_OF_LIST = journal.c.list_id == bindparam("list_id", type_=Id)


def _first(*which: ColumnElement[bool]) -> Statement:
    chosen = select(journal.c.seq, journal.c.operation).where(_OF_THING, *which)
    return Statement(chosen.order_by(journal.c.seq).limit(bindparam("limit")))


_FIRST, _FIRST_SHARE = _first(), _first(_OF_LIST)
_LAST_SHARE = Statement(
    select(*ENTRY_COLUMNS).where(_OF_THING, _OF_LIST).order_by(journal.c.seq.desc()).limit(1)
)


def _last(dialect: str) -> Select[Any]:
    """Return the statement that reads the latest entry about each entity of one kind."""
    things = unnest_json(dialect, "ids", journal.c.entity_id.type).subquery("things")
    (thing,) = things.c
    key = tuple_(journal.c.entity_id, journal.c.seq)
    after, end = (tuple_(thing, bindparam(name)) for name in ("seq", "max_seq"))
    last = (
        select(journal.c.seq)
        # A range of the whole key: for an equality, PostgreSQL sorts by number only, and may scan
        # the journal of the account from its end.
        .where(_OF_KIND, key > after, key <= end)
        .order_by(journal.c.entity_id.desc(), journal.c.seq.desc())
        .limit(literal_column("1"))
        .correlate(things)
        .scalar_subquery()
    )
    latest = select(last).select_from(things)
    return select(*ENTRY_COLUMNS).where(
        journal.c.owner == bindparam("owner"), journal.c.seq.in_(latest)
    )


_LAST = Statement(_last)

Thing = tuple[str, ...]
"""Key of an entity: kind and ID, for a share also its list; see `UndoEntry.entity`."""
Later = tuple[UndoEntry, int, str]
"""An entity's first entry to be undone, and the number and operation of a later entry about it."""
_State = Mapping[str, object] | None


class LaterChanges(NamedTuple):
    """Later changes of the entities of some entries.

    Attributes:
        wanted: Entries that must still be undone, in order; if later changes of an entity cancel
            out, the latest of them is included.
        conflicts: Later changes that conflict with the undo.
        undone: Later changes of entities that are back in their state from before the entries.
    """

    wanted: list[UndoEntry]
    conflicts: list[Later]
    undone: list[Later]


async def find_later_changes(session: Session, owner: str, chosen: list[UndoEntry]) -> LaterChanges:
    """Compare entries, in order, with later entries about the same entities.

    The account must be locked.
    """
    own: dict[Thing, list[UndoEntry]] = defaultdict(list)
    for entry in chosen:
        own[entry.entity].append(entry)
    found = LaterChanges([], [], [])
    latest = await _find_latest(session, owner, own)
    for thing, entries in own.items():
        last = latest.get(thing)
        if not _are_taken_back(entries, last):
            found.conflicts.extend(await _find_others(session, owner, entries))
        elif last is not None and _parse_state(last.after) == _parse_state(entries[0].before):
            found.undone.extend(await _find_others(session, owner, entries))
        else:
            found.wanted.extend(entries if last is None else [*entries, last])
    found.wanted.sort(key=lambda entry: entry.seq)
    return found


async def _find_latest(
    session: Session, owner: str, own: Mapping[Thing, list[UndoEntry]]
) -> dict[Thing, UndoEntry]:
    """Return the latest entry about each entity that is later than the entries to be undone."""
    found: list[UndoEntry] = []
    ids: dict[str, list[str]] = defaultdict(list)
    for entries in own.values():
        first = entries[0]
        if first.kind == "share":
            # One query each: a run changes few shares.
            values = {**_name_thing(owner, entries), "seq": entries[-1].seq}
            found += map(parse_entry, await session.fetch(_LAST_SHARE, values))
        else:
            ids[first.kind].append(first.entity_id)
    for kind, of_kind in ids.items():
        # For each entity, entries up to this number are not later changes.
        values = {
            "owner": owner,
            "kind": kind,
            "ids": orjson.dumps(of_kind).decode(),
            "seq": min(entries[-1].seq for entries in own.values()),
            "max_seq": MAX_SEQ,
        }
        found += map(parse_entry, await session.fetch(_LAST, values))
    return {each.entity: each for each in found if each.seq > own[each.entity][-1].seq}


async def _find_others(session: Session, owner: str, entries: list[UndoEntry]) -> list[Later]:
    """Return the first later entries about an entity that are not to be undone."""
    known = {entry.seq for entry in entries}
    limit = len(entries) + _MAX_SHOWN
    values = {**_name_thing(owner, entries), "seq": entries[0].seq, "limit": limit}
    rows = await session.fetch(_FIRST_SHARE if entries[0].kind == "share" else _FIRST, values)
    others = [(entries[0], seq, operation) for seq, operation in rows if seq not in known]
    return others[:_MAX_SHOWN]


def _name_thing(owner: str, entries: list[UndoEntry]) -> dict[str, Any]:
    first = entries[0]
    values = {"owner": owner, "id": first.entity_id, "kind": first.kind}
    return values if first.kind != "share" else {**values, "list_id": first.list_id}


def _are_taken_back(entries: list[UndoEntry], last: UndoEntry | None) -> bool:
    """Return whether the changes of an entity that are not to be undone cancel out."""
    known = [_parse_state(entries[0].before), *(_parse_state(each.after) for each in entries)]
    found = [_parse_state(each.before) for each in entries[1:]]
    if last is not None:
        found.append(_parse_state(last.after))
    return all(state in known for state in found)


def _parse_state(document: str | None) -> _State:
    """Return the part of a document that an undo restores; None for a missing entity."""
    if document is None:
        return None
    fields: Mapping[str, object] = orjson.loads(document)
    return {name: value for name, value in fields.items() if name != "version"} or None
