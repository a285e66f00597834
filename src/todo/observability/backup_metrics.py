"""Metrics of backups, restore drills and updates, from outcomes in the database.

The outcomes are settings of a database role: `todo.backup`, `todo.drill` (each also with the suffix
`_failure`) and `todo.update`. WAL metrics come from the replication slot `todo_wal`. Databases
without these, such as managed ones, have no such metrics.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text

from todo.core.errors import ProblemError
from todo.db.statement import Statement
from todo.observability.update_metrics import UpdateState, collect_update, parse_update

if TYPE_CHECKING:
    from todo.db.database import Database

SLOT = "todo_wal"
_FRESH_S = 5.0
_STATE = Statement(
    text(f"""
    WITH outcome AS (
        SELECT split_part(option, '=', 1) AS name, substr(option, strpos(option, '=') + 1) AS value
        FROM pg_roles CROSS JOIN unnest(rolconfig) AS option
        WHERE option LIKE 'todo.%'
    )
    SELECT
        (SELECT max(value) FROM outcome WHERE name = 'todo.backup'),
        (SELECT max(value) FROM outcome WHERE name = 'todo.backup_failure'),
        (SELECT max(value) FROM outcome WHERE name = 'todo.drill'),
        (SELECT max(value) FROM outcome WHERE name = 'todo.drill_failure'),
        (SELECT active FROM pg_replication_slots WHERE slot_name = '{SLOT}'),
        (SELECT CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS bigint)
         FROM pg_replication_slots WHERE slot_name = '{SLOT}' AND NOT pg_is_in_recovery()),
        (SELECT max(value) FROM outcome WHERE name = 'todo.update')
    """)  # noqa: S608 - a constant
)


@dataclass(frozen=True, slots=True)
class BackupState:
    """State of backups, as stored in the database.

    Attributes:
        succeeded_at: Unix time of the last successful backup; None before the first.
        size: Size of that backup in bytes.
        failed_at: Unix time of the last failed backup; None if none failed.
        receiving: Whether the WAL receiver is connected; None without a slot.
        lag: Bytes of WAL that the receiver has not confirmed; None if WAL was lost.
        drilled_at: Unix time of the last successful drill; None before the first.
        rpo_s: Age in seconds of the oldest missing change, when the drill began.
        rto_s: Seconds until the restored server was verified.
        drill_failed_at: Unix time of the last failed drill; None if none failed.
    """

    succeeded_at: float | None = None
    size: int = 0
    duration_s: int = 0
    failed_at: float | None = None
    receiving: bool | None = None
    lag: int | None = None
    drilled_at: float | None = None
    rpo_s: float = 0.0
    rto_s: float = 0.0
    drill_failed_at: float | None = None


class BackupMetrics(Collector):
    """Collector of the last known state of backups and updates."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._seen_at = float("-inf")
        self.state = BackupState()
        self.update: UpdateState | None = None

    async def refresh(self) -> None:
        """Refresh the state, unless it is recent or all connections are in use."""
        database = self._database
        pool = database.pool
        if database.is_sqlite or pool.checkedout() >= pool.size():
            return
        if time.monotonic() - self._seen_at < _FRESH_S:
            return
        with contextlib.suppress(ProblemError):
            async with database.reading() as session:
                row = await session.find(_STATE, {})
            self._seen_at = time.monotonic()
            *outcomes, receiving, lag, update = row or (None,) * 7
            self.state = parse_state(*outcomes, receiving=receiving, lag=lag)
            self.update = parse_update(update)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the known state; none without backups and updates."""
        state = self.state
        if state.succeeded_at is not None:
            yield GaugeMetricFamily(
                "todo_backup_timestamp_seconds",
                "Time of the last successful backup.",
                value=state.succeeded_at,
            )
            yield GaugeMetricFamily(
                "todo_backup_size_bytes", "Size of the last successful backup.", value=state.size
            )
            yield GaugeMetricFamily(
                "todo_backup_duration_seconds",
                "Duration of the last successful backup.",
                value=state.duration_s,
            )
        if (state.succeeded_at, state.failed_at) != (None, None):
            yield GaugeMetricFamily(
                "todo_backup_ok",
                "1 if the last backup succeeded.",
                value=(state.succeeded_at or 0) >= (state.failed_at or 0),
            )
        if state.receiving is not None:
            yield GaugeMetricFamily(
                "todo_backup_wal_receiving",
                "1 if WAL is received for backups.",
                value=state.receiving,
            )
        if state.lag is not None:
            yield GaugeMetricFamily(
                "todo_backup_wal_lag_bytes",
                "WAL that the receiver has not confirmed yet.",
                value=state.lag,
            )
        yield from _collect_drill(state)
        yield from collect_update(self.update)


def _collect_drill(state: BackupState) -> Iterator[Metric]:
    if state.drilled_at is not None:
        yield GaugeMetricFamily(
            "todo_drill_timestamp_seconds",
            "Time of the last successful restore drill.",
            value=state.drilled_at,
        )
        yield GaugeMetricFamily(
            "todo_drill_rpo_seconds",
            "Age of the oldest change missing from the backup when that drill started.",
            value=state.rpo_s,
        )
        yield GaugeMetricFamily(
            "todo_drill_rto_seconds",
            "Time from the start of that drill to a verified server.",
            value=state.rto_s,
        )
    if (state.drilled_at, state.drill_failed_at) != (None, None):
        yield GaugeMetricFamily(
            "todo_drill_ok",
            "1 if the last restore drill succeeded.",
            value=(state.drilled_at or 0) >= (state.drill_failed_at or 0),
        )


def parse_state(
    succeeded: str | None,
    failed: str | None,
    drilled: str | None = None,
    drill_failed: str | None = None,
    *,
    receiving: bool | None,
    lag: int | None,
) -> BackupState:
    """Parse a row of the database; malformed outcomes count as missing."""
    success, failure, drill = _parse(succeeded), _parse(failed), _parse(drilled)
    return BackupState(
        succeeded_at=_time(success),
        size=int(success.get("bytes", 0)),
        duration_s=int(success.get("seconds", 0)),
        failed_at=_time(failure),
        receiving=receiving,
        lag=lag,
        drilled_at=_time(drill),
        rpo_s=float(drill.get("rpo_seconds", 0)),
        rto_s=float(drill.get("rto_seconds", 0)),
        drill_failed_at=_time(_parse(drill_failed)),
    )


def _parse(value: str | None) -> dict[str, Any]:
    try:
        found = orjson.loads(value or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _time(outcome: dict[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(outcome["at"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
