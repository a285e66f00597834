"""The run that "undo" means: the last one of the conversation that was not undone."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from todo.assistant.turn.answer import AGENT
from todo.core.caller import Caller
from todo.db.session import Session
from todo.journal.repository import Filter, View, find_view, read_history

_MAX_RUNS = 20
_MAX_ENTRIES = 100
_RESTORE = "restore"


async def find_run_to_undo(
    database: Any,  # noqa: ANN401 - todo.db.database.Database, of which tests have another one
    caller: Caller,
    runs: Sequence[str],
) -> str | None:
    """Return the last run that was not undone, None for none.

    It is one of the conversation. Where that has none, it is the last one of the assistant in the
    journal of the person: some front ends open a conversation for each message.

    Args:
        database: Is read.
        caller: The person.
        runs: Runs of the conversation that changed something, or may have, newest first.
    """
    async with database.reading(caller.user) as session:
        view = await find_view(session, caller, None)
        kinds = [
            (run_id, is_undo)
            for run_id in runs[:_MAX_RUNS]
            if (is_undo := await _is_undo(session, view, caller.user, run_id)) is not None
        ]
        if not kinds:
            kinds = await _read_runs(session, view, caller.user)
    return _choose(kinds)


def _choose(runs: Iterable[tuple[str, bool]]) -> str | None:
    """Return the first run that no undo after it took back.

    Args:
        runs: Newest first, each with whether it is an undo.
    """
    undone = 0
    for run_id, is_undo in runs:
        if is_undo:
            undone += 1
        elif undone:
            undone -= 1
        else:
            return run_id
    return None


async def _is_undo(session: Session, view: View, user: str, run_id: str) -> bool | None:
    """Return whether a run is an undo, None where it changed nothing."""
    wanted = Filter(run_id=run_id, actor=user)
    found, _ = await read_history(session, view, wanted, None, 1)
    return orjson.loads(found[0])["operation"] == _RESTORE if found else None


async def _read_runs(session: Session, view: View, user: str) -> list[tuple[str, bool]]:
    wanted = Filter(actor=user)
    found, _ = await read_history(session, view, wanted, None, _MAX_ENTRIES)
    runs: dict[str, bool] = {}
    for entry in map(orjson.loads, found):
        if entry["agent"] == AGENT and entry["run_id"] is not None:
            runs.setdefault(entry["run_id"], entry["operation"] == _RESTORE)
    return list(runs.items())
