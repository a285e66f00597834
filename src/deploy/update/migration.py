"""Supervision of a migration while users are served: its lock waits, and requests that it blocks.

The migration retries if it cannot acquire a lock within two seconds, so that it does not block
requests for longer. But it can hang with a lock, or wait for a transaction that does not end.
"""

from __future__ import annotations

import contextlib
import time

from deploy import process
from deploy.errors import DeployError
from deploy.stack import database
from deploy.stack.services import container_of
from deploy.units.loader import load_contract
from deploy.units.spec import build_args
from deploy.update.faults import FaultError
from deploy.update.units import MIGRATION

_BLOCKS_S = 10.0
"""Maximum time for which the migration may block requests."""
_WAITS_S = 300.0
"""Maximum time for which the migration may wait for locks."""
_PAUSE_S = 10.0
"""Maximum gap between two observations of the same wait: a request gives up after five seconds,
and the migration pauses between its attempts."""

_SESSIONS = (
    "(SELECT pid, wait_event_type IS NOT DISTINCT FROM 'Lock' AS waits FROM pg_stat_activity"
    " WHERE usename = '{}' AND datname = current_database()) AS migration"
)
_BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity AS other JOIN {} ON NOT migration.waits"
    " AND migration.pid = ANY(pg_blocking_pids(other.pid)) WHERE other.wait_event_type = 'Lock'"
)
_BLOCKER = (
    "SELECT format('PID %s (%s), in a transaction for %s s', pid,"
    " concat_ws(', ', coalesce(nullif(application_name, ''), backend_type), usename, state),"
    " extract(epoch FROM clock_timestamp() - xact_start)::int) FROM pg_stat_activity WHERE pid IN"
    " (SELECT unnest(pg_blocking_pids(migration.pid)) FROM {} WHERE migration.waits) LIMIT 1"
)
_END = "SELECT pg_terminate_backend(migration.pid, 10000) FROM {}"


class Watch:
    """Monitor of a migration's lock waits."""

    def __init__(self) -> None:
        self._blocks = _Wait()
        self._waits = _Wait()

    def look(self) -> str:
        """Return a description of the current waits; raise a FaultError if one takes too long."""
        try:
            found = database.query(_BLOCKED.format(_find()), _BLOCKER.format(_find()))
        except DeployError:
            # The database may be external. If it is down, the migration itself fails.
            return ""
        blocked, _, blocker = found.partition("\n")
        blocks_s = self._blocks.see(is_seen=blocked != "0")
        waits_s = self._waits.see(is_seen=bool(blocker))
        if blocks_s > _BLOCKS_S:
            raise FaultError(f"its migration has let requests wait for {blocks_s:.0f} s", MIGRATION)
        if waits_s > _WAITS_S:
            reason = f"its migration has waited {waits_s:.0f} s for {blocker}"
            raise FaultError(reason, MIGRATION, of_image=False)
        if blocker:
            return f"waits for {blocker}"
        return "requests wait for it" if blocked != "0" else ""


class _Wait:
    """Duration of a wait that is observed intermittently."""

    def __init__(self) -> None:
        self._since = self._last = float("-inf")

    def see(self, *, is_seen: bool) -> float:
        """Return the duration of the wait so far in seconds; 0 if it is not observed now."""
        now = time.monotonic()
        if not is_seen:
            return 0.0
        if now - self._last > _PAUSE_S:
            self._since = now
        self._last = now
        return now - self._since


def kill() -> None:
    """Kill the program in the migration's container, if it is running.

    Its changes are one transaction. A signal to the unit would also end the process that removes
    the container.
    """
    podman = ["podman", "kill", "--signal=KILL", container_of(MIGRATION)]
    process.run(podman, check=False)


def end_sessions() -> None:
    """End the database sessions of a stopped migration, which would keep their locks."""
    with contextlib.suppress(DeployError):
        database.query(_END.format(_find()))


def _find() -> str:
    """Return the SQL subquery for the sessions of the migration."""
    return _SESSIONS.format(build_args(load_contract())["DB_OWNER_ROLE"])
