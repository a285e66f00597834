"""Scope of an undo: the entries of a change with its effects, a request, a run or a token."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Select,
    String,
    and_,
    bindparam,
    cast,
    exists,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.elements import ColumnElement

from todo.core.caller import Caller
from todo.core.domain import Snapshot
from todo.core.errors import NotFoundError, StateConflictError, UndoConflictError
from todo.core.timestamps import format_timestamp
from todo.db.documents import parse_snapshot
from todo.db.session import Session
from todo.db.statement import Row, Statement
from todo.db.tables import Id, Time, journal, list_share, task_list
from todo.journal.repository import View, is_task_of_list, list_params

MAX_ENTRIES = 1000
_MAX_SHOWN_TOKENS = 20

_OWNER = journal.c.owner == bindparam("owner")
ENTRY_COLUMNS = (
    journal.c.seq,
    journal.c.request_seq,
    journal.c.at,
    journal.c.actor,
    journal.c.token_id,
    journal.c.operation,
    journal.c.kind,
    journal.c.entity_id,
    journal.c.list_id,
    journal.c.before,
    journal.c.after,
)
"""Columns that `parse_entry` parses."""
_ONE = Statement(
    select(*ENTRY_COLUMNS).where(
        _OWNER, journal.c.seq == bindparam("seq"), journal.c.operation.is_not(None)
    )
)
# The entries of a request are adjacent and share a time, which other requests may have as well.
_AROUND = Statement(
    select(*ENTRY_COLUMNS)
    .where(
        _OWNER,
        journal.c.seq.between(bindparam("first"), bindparam("last")),
        journal.c.at == bindparam("at", type_=Time),
    )
    .order_by(journal.c.seq)
)
# Reminders change nothing. Undos are included: otherwise, they would always conflict with undoing
# the changes before them.
_CHANGED = journal.c.operation != literal_column("'remind'")
_RUN = (
    _OWNER
    & (journal.c.run_id == bindparam("run_id"))
    & (journal.c.actor == bindparam("actor"))
    & _CHANGED
)
_TOKEN: ColumnElement[str] = bindparam("token_id", type_=Id)
_RUN_OF_TOKEN = _RUN & journal.c.token_id.is_not_distinct_from(_TOKEN)
_OF_TOKEN = _OWNER & (journal.c.token_id == _TOKEN) & _CHANGED


def _select_entries(which: ColumnElement[bool], *inside: ColumnElement[bool]) -> Select[Any]:
    # Filtered before the limit: entries of other lists must not displace those of this list.
    return (
        select(*ENTRY_COLUMNS).where(which, *inside).order_by(journal.c.seq).limit(MAX_ENTRIES + 1)
    )


def _select_tokens(*inside: ColumnElement[bool]) -> Select[Any]:
    return select(journal.c.token_id).where(_RUN, *inside).distinct().limit(_MAX_SHOWN_TOKENS)


_ACTOR: ColumnElement[str] = bindparam("actor", type_=String)


def _select_views(*inside: ColumnElement[bool]) -> Any:  # noqa: ANN401 - a union, not a Select
    """Return the statement that finds the user's journal and shared lists with entries of a run."""
    by_actor = (journal.c.run_id == bindparam("run_id")) & (journal.c.actor == _ACTOR) & _CHANGED
    of_run = and_(by_actor, *inside)
    own = select(_ACTOR.label("owner"), cast(null(), Id).label("list_id")).where(
        exists().where(journal.c.owner == _ACTOR, of_run)
    )
    shared = (
        select(task_list.c.owner, task_list.c.id)
        .join(list_share, list_share.c.list_id == task_list.c.id)
        .where(
            list_share.c.user_id == _ACTOR,
            list_share.c.access == literal_column("'write'"),
            exists().where(
                journal.c.owner == task_list.c.owner, journal.c.list_id == task_list.c.id, of_run
            ),
        )
    )
    return union_all(own, shared)


_VIEWS = Statement(_select_views())
_VIEWS_SINCE = Statement(_select_views(journal.c.at >= bindparam("since", type_=Time)))


class _Questions(NamedTuple):
    """Statements about a run or a token, in a whole journal or in one list."""

    run: Statement
    tokens_of_run: Statement
    token: Statement


_IN_JOURNAL = _Questions(
    Statement(_select_entries(_RUN_OF_TOKEN)),
    Statement(_select_tokens()),
    Statement(_select_entries(_OF_TOKEN)),
)
_IN_LIST = _Questions(
    Statement(lambda dialect: _select_entries(_RUN_OF_TOKEN, is_task_of_list(dialect))),
    Statement(lambda dialect: _select_tokens(is_task_of_list(dialect))),
    Statement(lambda dialect: _select_entries(_OF_TOKEN, is_task_of_list(dialect))),
)


@dataclass(frozen=True, slots=True)
class UndoEntry:
    """Journal entry with the fields that an undo needs."""

    seq: int
    request_seq: int | None
    at: str
    actor: str
    token_id: str | None
    operation: str
    kind: str
    entity_id: str
    list_id: str | None
    before: str | None
    after: str | None

    @property
    def entity(self) -> tuple[str, ...]:
        """Key of the changed entity; each user's share of a list is a separate entity."""
        if self.kind == "share":
            return (self.kind, self.entity_id, self.list_id or "")
        return (self.kind, self.entity_id)

    def parse_before(self) -> Snapshot | None:
        """Return the task, list or share before the change; None for a creation."""
        return parse_snapshot(self.kind, self.before)

    def parse_after(self) -> Snapshot | None:
        """Return the task, list or share after the change; None for a deletion."""
        return parse_snapshot(self.kind, self.after)


async def _find_entry(session: Session, owner: str, seq: int) -> UndoEntry | None:
    row = await session.find(_ONE, {"owner": owner, "seq": seq})
    return None if row is None else parse_entry(row)


async def find_change(
    session: Session, view: View, seq: int, *, whole_request: bool
) -> list[UndoEntry]:
    """Return the entries of a change and its effects, or of its whole request, in order.

    Raises:
        NotFoundError: The entry does not exist, or the caller cannot see all of the changes.
        StateConflictError: The undo would revert more than MAX_ENTRIES changes.
    """
    of_owner = {"owner": view.owner}
    entry = await _find_entry(session, view.owner, seq)
    if entry is None:
        raise NotFoundError
    around = {"first": max(1, seq - MAX_ENTRIES), "last": seq + MAX_ENTRIES, "at": entry.at}
    group = [parse_entry(each) for each in await session.fetch(_AROUND, {**of_owner, **around})]
    if whole_request:
        chosen = [each for each in group if _is_one_request(each, entry)]
    else:
        chosen = _find_caused(entry, [each for each in group if _is_one_request(each, entry)])
    if view.list_id is not None and not all(_is_inside(each, view.list_id) for each in chosen):
        raise NotFoundError
    return _refuse_many(chosen)


@dataclass(frozen=True, slots=True)
class Run:
    """Run: the changes of one user with one token and one `X-Run-Id`.

    Attributes:
        id: Value of `X-Run-Id`, which is not unique: clients choose it.
        actor: User who made the changes.
        token_id: ID of the API token; None lets `find_run` choose.
    """

    id: str
    actor: str
    token_id: str | None = None


async def find_changed_views(session: Session, run: Run, since: str | None = None) -> list[View]:
    """Return the views with changes of a run: the user's journal, then lists of other users.

    The lists are those that the user can still write to, sorted by ID. With `since`, only changes
    at or after that time count.
    """
    values = {"actor": run.actor, "run_id": run.id}
    if since is None:
        rows = await session.fetch(_VIEWS, values)
    else:
        rows = await session.fetch(_VIEWS_SINCE, {**values, "since": since})
    found = [View(owner, list_id and str(list_id), owner == run.actor) for owner, list_id in rows]
    return sorted(found, key=lambda view: view.list_id or "")


async def find_run(session: Session, view: View, run: Run, caller: Caller) -> list[UndoEntry]:
    """Return the entries of a run, including its undos, in order.

    If `run.token_id` is None and the caller is the actor, the run of the caller's token is
    preferred. Otherwise, only one token may have a run with this ID.

    Raises:
        NotFoundError: The caller cannot see any entry of the run.
        UndoConflictError: Several tokens have a run with this ID.
        StateConflictError: The run has more than MAX_ENTRIES entries.
    """
    questions, about = _ask(view)
    of_run = {**about, "run_id": run.id, "actor": run.actor}

    async def fetch(token_id: str | None) -> list[Row]:
        return await session.fetch(questions.run, {**of_run, "token_id": token_id})

    if run.token_id is not None:
        return _choose(await fetch(run.token_id))
    rows = await fetch(caller.token_id) if run.actor == caller.user else []
    if not rows:
        tokens = [row[0] for row in await session.fetch(questions.tokens_of_run, of_run)]
        if len(tokens) > 1:
            raise _ambiguous(tokens)
        for token_id in tokens:
            rows = await fetch(token_id and str(token_id))
    return _choose(rows)


async def find_changes_by(session: Session, view: View, token_id: str) -> list[UndoEntry]:
    """Return the entries recorded under a token, including its undos, in order.

    Raises:
        NotFoundError: The caller cannot see any entry of the token.
        StateConflictError: The token has more than MAX_ENTRIES entries.
    """
    questions, about = _ask(view)
    return _choose(await session.fetch(questions.token, {**about, "token_id": token_id}))


def _ask(view: View) -> tuple[_Questions, dict[str, Any]]:
    """Return the statements for a view, and the parameters that they share."""
    questions = _IN_JOURNAL if view.list_id is None else _IN_LIST
    return questions, {"owner": view.owner, **list_params(view)}


def _choose(rows: list[Row]) -> list[UndoEntry]:
    if not rows:
        raise NotFoundError
    return _refuse_many([parse_entry(row) for row in rows])


def _ambiguous(tokens: list[Any]) -> UndoConflictError:
    names = [f"API token {token}" if token else "JSON Web Token" for token in tokens]
    return UndoConflictError(
        "Several tokens have a run with this ID; send the token_id of one.",
        errors=[
            {
                "in": "body",
                "field": "token_id",
                "code": "ambiguous",
                "message": f"a run with this ID was made with the {name}",
            }
            for name in sorted(names)
        ],
    )


def parse_entry(row: Row) -> UndoEntry:
    """Convert a row with ENTRY_COLUMNS to an entry."""
    seq, first, at, actor, token_id, operation, kind, entity_id, list_id, before, after = row
    at = at if isinstance(at, str) else format_timestamp(at)
    token_id, list_id = token_id and str(token_id), list_id and str(list_id)
    return UndoEntry(
        seq, first, at, actor, token_id, operation, kind, entity_id, list_id, before, after
    )


def _is_one_request(one: UndoEntry, other: UndoEntry) -> bool:
    if one.request_seq is not None or other.request_seq is not None:
        return one.request_seq == other.request_seq
    # Entries of old releases lack `request_seq`: the time identifies a request, unless the clock
    # was set back.
    return (one.at, one.actor, one.token_id) == (other.at, other.actor, other.token_id)


def _is_inside(entry: UndoEntry, list_id: str) -> bool:
    """Return whether a change is about a task that was in the list before and after it."""
    snapshots = [each for each in (entry.parse_before(), entry.parse_after()) if each is not None]
    return entry.kind == "task" and all(
        "list_id" in each and each["list_id"] == list_id for each in snapshots
    )


def _find_caused(cause: UndoEntry, group: Iterable[UndoEntry]) -> list[UndoEntry]:
    """Return a change and its effects within the same request, in order."""
    following: dict[tuple[str, str], list[UndoEntry]] = defaultdict(list)
    for entry in group:
        for hook in _follows_from(entry):
            following[hook].append(entry)
    chosen = {cause.seq: cause}
    pending = [cause]
    while pending:
        for hook in _causes(pending.pop()):
            for entry in following[hook]:
                if entry.seq not in chosen:
                    chosen[entry.seq] = entry
                    pending.append(entry)
    return [chosen[seq] for seq in sorted(chosen)]


def _causes(entry: UndoEntry) -> list[tuple[str, str]]:
    hooks = []
    if entry.operation in {"delete", "complete"}:
        hooks.append((entry.operation, entry.entity_id))
    if _is_moved(entry):
        hooks.append(("move", entry.entity_id))
    return hooks


def _follows_from(entry: UndoEntry) -> list[tuple[str, str]]:
    """Return the possible causes of an entry: the deletion of a parent, a completion, or a move."""
    before, after = entry.parse_before(), entry.parse_after()
    if before is not None and entry.operation in {"delete", "unshare"}:
        return [("delete", each) for each in _find_above(before) if each]
    if entry.operation == "create" and after is not None and "previous_id" in after:
        return [("complete", after["previous_id"])] if after["previous_id"] else []
    if _is_moved(entry) and before is not None and "parent_id" in before and before["parent_id"]:
        return [("move", before["parent_id"])]
    return []


def _find_above(snapshot: Snapshot) -> list[str | None]:
    """Return the IDs of a task's parent and list, or of a share's list."""
    if "parent_id" in snapshot:
        return [snapshot["parent_id"], snapshot["list_id"]]
    return [snapshot["list_id"]] if "list_id" in snapshot else []


def _is_moved(entry: UndoEntry) -> bool:
    """Return whether the list of a task was changed, set or removed."""
    before, after = entry.parse_before(), entry.parse_after()
    if before is None or after is None or "parent_id" not in before or "parent_id" not in after:
        return False
    return before["list_id"] != after["list_id"]


def _refuse_many(chosen: list[UndoEntry]) -> list[UndoEntry]:
    if len(chosen) > MAX_ENTRIES:
        raise StateConflictError(
            f"The undo would revert more than {MAX_ENTRIES} changes; undo the latest ones first, "
            "one by one."
        )
    return chosen
