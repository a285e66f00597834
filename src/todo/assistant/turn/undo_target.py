"""Run that "undo" refers to: the last one of the conversation that was not undone."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from todo.assistant.turn.answer import AGENT
from todo.core.caller import Caller
from todo.db.session import Session
from todo.journal.repository import Filter, View, find_view, read_history
from todo.journal.runs import read_runs
from todo.journal.undo_scope import Run, find_changed_views
from todo.tasks.visible_lists import fetch_visible_lists

_MAX_RUNS = 20
_MAX_RECENT = 100
_MAX_SHARED_LISTS = 20
_RESTORE = "restore"


async def find_run_to_undo(
    database: Any,  # noqa: ANN401 - a todo.db.database.Database or a test double
    caller: Caller,
    runs: Sequence[str],
) -> str | None:
    """Return the last run that was not undone, or None.

    `runs` are the conversation's runs with possible changes, newest first. If the conversation has
    none, the assistant's last run in the user's journal or in a shared list is returned, because
    some clients start a conversation for each message. The journal shows what was undone, because
    any client can undo.
    """
    async with database.reading(caller.user) as session:
        has_changed = False
        for run_id in runs[:_MAX_RUNS]:
            for view in await find_changed_views(session, Run(run_id, caller.user)):
                found = await _find_in_view(session, caller, view, run_id)
                # A conversation that contains only undos continues with earlier runs.
                has_changed = has_changed or found is None or not _is_undo(found)
                if found is not None and _can_undo(found):
                    return run_id
        return None if has_changed else await _find_recent(session, caller)


async def _find_in_view(
    session: Session, caller: Caller, view: View, run_id: str
) -> dict[str, Any] | None:
    """Return the state of a run in one journal; None if it has no entries there."""
    wanted = Filter(run_id=run_id, actor=caller.user)
    entries, _ = await read_history(session, view, wanted, None, 1)
    if not entries:
        return None
    after = orjson.loads(entries[0])["seq"] + 1
    found, _ = await read_runs(session, caller, view, after, 1)
    return next((run for run in found if run["run_id"] == run_id), None)


async def _find_recent(session: Session, caller: Caller) -> str | None:
    """Return the assistant's last run in the user's journal or in a shared list."""
    views = [await find_view(session, caller, None)]
    if caller.list_id is None:
        lists = (await fetch_visible_lists(session, caller)).all
        shared = [UUID(each.id) for each in lists if each.access == "write"]
        views += [await find_view(session, caller, each) for each in shared[-_MAX_SHARED_LISTS:]]
    latest: dict[str, Any] | None = None
    for view in views:
        found, _ = await read_runs(session, caller, view, None, _MAX_RECENT)
        own = (run for run in found if run["agent"] == AGENT and run["actor"] == caller.user)
        run = next(filter(_can_undo, own), None)
        if run is not None and (latest is None or run["last_at"] > latest["last_at"]):
            latest = run
    return None if latest is None else str(latest["run_id"])


def _can_undo(run: dict[str, Any]) -> bool:
    """Return whether a run has changes still in effect, and is not an undo itself."""
    return not run["is_undone"] and not _is_undo(run)


def _is_undo(run: dict[str, Any]) -> bool:
    return any(each["operation"] == _RESTORE for each in run["summary"])
