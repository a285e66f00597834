"""Query for the transaction ID of a run or journal entry: the `xmin` of its row.

The time of an entry does not identify it: it is the start of the request, and other requests may
commit earlier.
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
    """Function that runs a psql script with variables and returns its output."""

_FOUND = """
SELECT coalesce(json_agg(json_build_object('owner', owner, 'seq', seq, 'transaction', xmin::text,
    'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), 'actor', actor,
    'token', token_id)), '[]')
FROM (SELECT *, xmin FROM journal WHERE {condition} ORDER BY at, owner, seq LIMIT 1000) AS entry
"""
_RUN = _FOUND.format(condition="run_id = :'run'")
_ENTRY = _FOUND.format(condition="owner = :'owner' AND seq = :'seq'::bigint")


def find_change(query: Query, target: Target) -> Change | None:
    """Return the target's journal entry or the first entry of its run, or None if it is missing.

    Raises:
        DeployError: Several users or tokens have a run with this ID.
    """
    if target.kind is Kind.ENTRY:
        owner, seq = target.entry
        found = json.loads(query(_ENTRY, {"owner": owner, "seq": str(seq)}))
    else:
        found = json.loads(query(_RUN, {"run": target.value}))
    # Runs of different users or tokens may have the same ID; the first entry identifies a run.
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
