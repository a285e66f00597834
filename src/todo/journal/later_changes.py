"""Later changes of the things that an undo restores, and which of them conflict with it.

A later change conflicts, because undoing would destroy it. A later undo does not, if it only
restored a state that the thing had before or during the changes. So a run can be undone again after
its undo was undone, and one thing that is undone already does not prevent the undo of the others.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from todo.db.session import Session
from todo.db.statement import Statement
from todo.db.tables import Id, journal
from todo.journal.undo_scope import UndoEntry, find_entry

_MAX_SHOWN = 3
_MAX_RESTORES = 50
"""How many undos of one thing are looked at."""

_OF_THING = (
    (journal.c.owner == bindparam("owner"))
    & (journal.c.entity_id == bindparam("id"))
    & (journal.c.kind == bindparam("kind"))
    & (journal.c.seq > bindparam("seq"))
    & (journal.c.operation != "remind")
)
_LATER = Statement(
    select(journal.c.seq, journal.c.operation)
    .where(_OF_THING)
    .order_by(journal.c.seq)
    .limit(bindparam("limit"))
)
_LATER_SHARE = Statement(
    select(journal.c.seq, journal.c.operation)
    .where(_OF_THING, journal.c.list_id == bindparam("list_id", type_=Id))
    .order_by(journal.c.seq)
    .limit(bindparam("limit"))
)

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
        later = await _find_others(session, owner, entries)
        restores = await _find_harmless(session, owner, entries, later)
        shown = [(entries[0], seq, operation) for seq, operation in later[:_MAX_SHOWN]]
        if restores is None:
            found.conflicts.extend(shown)
            continue
        following = [each for each in restores if each.seq > entries[-1].seq]
        before = _state(entries[0].read_before())
        if following and _state(following[-1].read_after()) == before:
            found.undone.extend(shown)
        else:
            found.wanted.extend([*entries, *following[-1:]])
    found.wanted.sort(key=lambda entry: entry.seq)
    return found


async def _find_others(
    session: Session, owner: str, entries: list[UndoEntry]
) -> list[tuple[int, str]]:
    """Return number and operation of entries about a thing that are not to be undone."""
    first = entries[0]
    values = {
        "owner": owner,
        "id": first.entity_id,
        "kind": first.kind,
        "seq": first.seq,
        "limit": len(entries) + _MAX_RESTORES + 1,
    }
    statement = _LATER
    if first.kind == "share":
        statement = _LATER_SHARE
        values["list_id"] = first.list_id
    known = {entry.seq for entry in entries}
    rows = await session.fetch(statement, values)
    return [(seq, operation) for seq, operation in rows if seq not in known]


async def _find_harmless(
    session: Session, owner: str, entries: list[UndoEntry], later: list[tuple[int, str]]
) -> list[UndoEntry] | None:
    """Return the later entries about a thing, or None if one of them is in the way."""
    if len(later) > _MAX_RESTORES or any(operation != "restore" for _seq, operation in later):
        return None
    known = [_state(entries[0].read_before()), *(_state(each.read_after()) for each in entries)]
    restores = []
    for seq, _operation in later:
        entry = await find_entry(session, owner, seq)
        if entry is None or _state(entry.read_after()) not in known:
            return None
        restores.append(entry)
    return restores


def _state(document: dict[str, Any]) -> State:
    """What is restored of a document; None for a thing that is not there."""
    return {name: value for name, value in document.items() if name != "version"} or None
