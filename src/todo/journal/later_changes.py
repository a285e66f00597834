"""Later changes of the things that an undo restores, and which of them conflict with it.

A later change conflicts if undoing would destroy what it did. It does not, if the thing is again in
a state that it had before or during the changes: others have taken their changes back. So a run can
be undone again after its undo was undone, newer changes can be undone first, and one thing that is
undone already does not prevent the undo of the others.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.sql.elements import ColumnElement

from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import Id, journal
from todo.journal.undo_scope import UndoEntry, find_entry

_MAX_SHOWN = 3

_OF_THING = (
    (journal.c.owner == bindparam("owner"))
    & (journal.c.entity_id == bindparam("id"))
    & (journal.c.kind == bindparam("kind"))
    & (journal.c.seq > bindparam("seq"))
    & (journal.c.operation != "remind")
)
_SEQ_AND_OPERATION = select(journal.c.seq, journal.c.operation)
_OF_LIST = journal.c.list_id == bindparam("list_id", type_=Id)


def _first(*which: ColumnElement[bool]) -> Statement:
    chosen = _SEQ_AND_OPERATION.where(_OF_THING, *which)
    return Statement(chosen.order_by(journal.c.seq).limit(bindparam("limit")))


def _last(*which: ColumnElement[bool]) -> Statement:
    chosen = _SEQ_AND_OPERATION.where(_OF_THING, *which)
    return Statement(chosen.order_by(journal.c.seq.desc()).limit(1))


_FIRST, _FIRST_SHARE = _first(), _first(_OF_LIST)
_LAST, _LAST_SHARE = _last(), _last(_OF_LIST)

Later = tuple[UndoEntry, int, str]
"""The first of the entries about a thing; number and operation of a later one of others."""
State = dict[str, Any] | None


class LaterChanges(NamedTuple):
    """What came of some entries.

    Attributes:
        wanted: The entries that are still to be undone, in order; where others brought a thing
            back to what it was, with the latest of their entries about it.
        conflicts: Later changes that are in the way.
        undone: Later undos that have undone the entries about a thing.
    """

    wanted: list[UndoEntry]
    conflicts: list[Later]
    undone: list[Later]


async def find_later_changes(session: Session, owner: str, chosen: list[UndoEntry]) -> LaterChanges:
    """Compare some entries with the later ones about the same things.

    Args:
        session: Reads, while the account is locked.
        owner: Whose journal.
        chosen: The entries, in order.
    """
    own: dict[tuple[str, ...], list[UndoEntry]] = defaultdict(list)
    for entry in chosen:
        own[entry.entity].append(entry)
    found = LaterChanges([], [], [])
    for entries in own.values():
        last = await _find_last(session, owner, entries)
        if not _are_taken_back(entries, last):
            found.conflicts.extend(await _find_others(session, owner, entries))
        elif last is not None and _state(last.read_after()) == _state(entries[0].read_before()):
            found.undone.extend(await _find_others(session, owner, entries))
        else:
            found.wanted.extend(entries if last is None else [*entries, last])
    found.wanted.sort(key=lambda entry: entry.seq)
    return found


async def _find_last(session: Session, owner: str, entries: list[UndoEntry]) -> UndoEntry | None:
    """Return the latest entry about a thing, None if it is to be undone itself."""
    values = {**_name_thing(owner, entries), "seq": entries[-1].seq}
    row = await session.find(_LAST_SHARE if entries[0].kind == "share" else _LAST, values)
    return None if row is None else await find_entry(session, owner, row[0])


async def _find_others(session: Session, owner: str, entries: list[UndoEntry]) -> list[Later]:
    """Return the first entries about a thing that are not to be undone."""
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
    """Whether others' changes of a thing, between the entries and after them, left nothing."""
    known = [_state(entries[0].read_before()), *(_state(each.read_after()) for each in entries)]
    found = [_state(each.read_before()) for each in entries[1:]]
    if last is not None:
        found.append(_state(last.read_after()))
    return all(state in known for state in found)


def _state(document: dict[str, Any]) -> State:
    """What is restored of a document; None for a thing that is not there."""
    return {name: value for name, value in document.items() if name != "version"} or None
