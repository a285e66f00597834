"""Query for the transaction of a run or journal entry, which is the `xmin` of the row.

A time would not: an entry has the time at which its request began, and others commit before it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy.backup.target import Change, Kind, Target
from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Query = Callable[[str, Mapping[str, str]], str]
    """Runs a script of psql with its variables, and returns what it prints."""

_FOUND = """
SELECT coalesce(json_agg(json_build_object('owner', owner, 'seq', seq, 'transaction', xmin::text,
    'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), 'actor', actor,
    'token', token_id)), '[]')
FROM (SELECT *, xmin FROM journal WHERE {condition} ORDER BY at, owner, seq LIMIT 1000) AS entry
"""
_RUN = _FOUND.format(condition="run_id = :'run'")
_ENTRY = _FOUND.format(condition="owner = :'owner' AND seq = :'seq'::bigint")


def find_change(query: Query, target: Target) -> Change | None:
    """Return the first entry of a run, or the entry that a target names, or None.

    Raises:
        DeployError: Several users or tokens have a run of that ID.
    """
    if target.kind is Kind.ENTRY:
        owner, seq = target.entry
        found = json.loads(query(_ENTRY, {"owner": owner, "seq": str(seq)}))
    else:
        found = json.loads(query(_RUN, {"run": target.value}))
    # The first entry of each run: it is what one user changed with one token.
    runs = {(entry["actor"], entry["token"]): entry for entry in reversed(found)}
    if target.kind is Kind.RUN and len(runs) > 1:
        firsts = " or ".join(sorted(f"{run['owner']}/{run['seq']}" for run in runs.values()))
        raise DeployError(
            f"--before: {len(runs)} runs have the ID {target.value}",
            hint=f"name the first entry of one of them: {firsts}",
            code=ExitCode.USAGE,
        )
    if not found:
        return None
    entry = found[0]
    at = datetime.fromisoformat(entry["at"]).replace(tzinfo=UTC)
    return Change(entry["owner"], int(entry["seq"]), entry["transaction"], at)
