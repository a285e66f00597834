"""The run that "undo" means: the last one of the conversation that was not undone."""

from collections.abc import Sequence
from typing import Any

import orjson

from todo.assistant.turn.answer import AGENT
from todo.core.caller import Caller
from todo.db.session import Session
from todo.journal.repository import Filter, View, find_view, read_history
from todo.journal.runs import read_runs
from todo.journal.undo_scope import Run, find_changed_views

_MAX_RUNS = 20
_MAX_RECENT = 100
_RESTORE = "restore"


async def find_run_to_undo(
    database: Any,  # noqa: ANN401 - todo.db.database.Database, of which tests have another one
    caller: Caller,
    runs: Sequence[str],
) -> str | None:
    """Return the last run that was not undone, None for none.

    It is one of the conversation. Where that has none, it is the last one of the assistant in the
    journal of the person: some front ends open a conversation for each message. The journal says
    what was undone, since an undo can come from anywhere.

    Args:
        database: Is read.
        caller: The person.
        runs: Runs of the conversation that may have changed something, newest first.
    """
    async with database.reading(caller.user) as session:
        has_changed = False
        for run_id in runs[:_MAX_RUNS]:
            views = await find_changed_views(session, Run(run_id, caller.user))
            has_changed = has_changed or bool(views)
            for view in views:
                found = await _find_in_view(session, caller, view, run_id)
                if found is not None and _can_undo(found):
                    return run_id
        return None if has_changed else await _find_recent(session, caller)


async def _find_in_view(
    session: Session, caller: Caller, view: View, run_id: str
) -> dict[str, Any] | None:
    """Return what one journal says about a run."""
    wanted = Filter(run_id=run_id, actor=caller.user)
    entries, _ = await read_history(session, view, wanted, None, 1)
    if not entries:
        return None
    after = orjson.loads(entries[0])["seq"] + 1
    found, _ = await read_runs(session, caller, view, after, 1)
    return next((run for run in found if run["run_id"] == run_id), None)


async def _find_recent(session: Session, caller: Caller) -> str | None:
    """Return the last run of the assistant in the journal of the person."""
    view = await find_view(session, caller, None)
    found, _ = await read_runs(session, caller, view, None, _MAX_RECENT)
    for run in found:
        is_own = run["agent"] == AGENT and run["actor"] == caller.user
        if is_own and _can_undo(run):
            return str(run["run_id"])
    return None


def _can_undo(run: dict[str, Any]) -> bool:
    """Whether a run has changes that still hold, and is not an undo itself."""
    is_undo = any(each["operation"] == _RESTORE for each in run["summary"])
    return not run["is_undone"] and not is_undo
