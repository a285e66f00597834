"""Prometheus metrics of requests, database, journal, limits, streams, assistant and event loop.

docs/monitoring/README.md explains every metric, which a test verifies.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from todo import __version__
from todo.db.tables import EXPECTED_REVISION
from todo.observability.assistant_metrics import AssistantMetrics
from todo.observability.backup_metrics import BackupMetrics
from todo.observability.counters import make_counter

if TYPE_CHECKING:
    from todo.core.circuit_breaker import AsyncBreaker
    from todo.db.database import Database

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPERATIONS = (
    *("create", "update", "complete", "reopen", "delete"),
    *("remind", "restore", "share", "unshare"),
)
PLAN_OUTCOMES = ("created", "applied", "outdated", "expired")
STREAMS = ("events", "websocket", "assistant")
LIMITS = ("address", "token", "writes")
BREAKER_STATES = ("closed", "half-open", "open")

_LABELS = ("method", "route", "status")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Metrics of the process, in one registry."""

    def __init__(self, database: "Database") -> None:
        self.registry = registry = CollectorRegistry()
        build = Info(
            "todo_build",
            "Version of the program, and the schema revision that it requires.",
            registry=registry,
        )
        build.info({"version": __version__, "schema": EXPECTED_REVISION})
        self._ready = Gauge(
            "todo_ready", "1 if the service is ready, as reported by `/readyz`.", registry=registry
        )
        self._accepting = Gauge(
            "todo_accepting",
            "1 if the instance accepts new connections, 0 if it leaves them to other instances.",
            registry=registry,
        )
        self._requests = Counter(
            "todo_http_requests", "HTTP responses sent.", _LABELS, registry=registry
        )
        self._durations = Histogram(
            "todo_http_request_duration_seconds",
            "Time from the request's headers to the end of the response.",
            _LABELS,
            buckets=_REQUEST_BUCKETS_S,
            registry=registry,
        )
        # Both metrics by labels, because a lookup in the library takes longer than counting.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._database = _DatabaseCollector(database)
        registry.register(self._database)
        self._retries = Counter(
            "todo_database_retries",
            "Transactions repeated after a serialization failure or a deadlock.",
            registry=registry,
        )
        self._journal = make_counter(
            registry,
            "todo_journal_entries",
            "Committed journal entries.",
            operation=OPERATIONS,
        )
        self._plans = make_counter(
            registry, "todo_plans", "Plans by outcome.", outcome=PLAN_OUTCOMES
        )
        self._limited = make_counter(
            registry, "todo_rate_limited_requests", "Requests rejected with 429.", limit=LIMITS
        )
        self._over_quota = Counter(
            "todo_over_quota_writes",
            "Writes rejected because the account would exceed its storage quota.",
            registry=registry,
        )
        self._replays = Counter(
            "todo_idempotent_replays",
            "Writes answered with the stored response of their Idempotency-Key.",
            registry=registry,
        )
        self._streams = Gauge("todo_streams", "Open event streams.", ["kind"], registry=registry)
        for kind in STREAMS:
            self._streams.labels(kind)
        self._loop_lag = Histogram(
            "todo_event_loop_lag_seconds",
            "Delay with which the event loop resumes a task, measured twice a second.",
            buckets=_LAG_BUCKETS_S,
            registry=registry,
        )
        self.backups = BackupMetrics(database)
        registry.register(self.backups)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    def observe(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request.

        `route` is the template of the path, never the path itself. Unknown methods share one label,
        because callers can invent any. Status codes are grouped by class.
        """
        key = (method if method in _METHODS else "other", route, status // 100)
        series = self._series.get(key)
        if series is None:
            labels = (*key[:2], f"{key[2]}xx")
            counter, histogram = self._requests.labels(*labels), self._durations.labels(*labels)
            series = self._series[key] = (counter, histogram)
        series[0].inc()
        series[1].observe(duration_s)

    def observe_loop_lag(self, lag_s: float) -> None:
        """Record the lag of the event loop in seconds."""
        self._loop_lag.observe(lag_s)

    def count_journal(self, operation: str, entries: int = 1) -> None:
        """Count committed journal entries by their operation, one of `OPERATIONS`."""
        self._journal.labels(operation).inc(entries)

    def count_limited(self, limit: Literal["address", "token", "writes"]) -> None:
        """Count a request that was rejected with 429, by the limit that it exceeded."""
        self._limited.labels(limit).inc()

    def count_over_quota(self) -> None:
        """Count a write that was rejected because its account would exceed its storage quota."""
        self._over_quota.inc()

    def count_plan(self, outcome: str) -> None:
        """Count a plan by its outcome, one of `PLAN_OUTCOMES`."""
        self._plans.labels(outcome).inc()

    def count_replay(self) -> None:
        """Count a write that received the stored response of its Idempotency-Key."""
        self._replays.inc()

    def count_retry(self) -> None:
        """Count a transaction that is retried after a serialization failure or a deadlock."""
        self._retries.inc()

    def streaming(
        self, kind: Literal["events", "websocket", "assistant"]
    ) -> AbstractContextManager[None]:
        """Count a stream as open while the block runs."""
        return self._streams.labels(kind).track_inprogress()

    def watch_breaker(self, name: str, breaker: "AsyncBreaker") -> None:
        """Export the state of the circuit breaker of a dependency other than the database."""
        self._database.breakers[name] = breaker

    @cached_property
    def assistant(self) -> AssistantMetrics:
        """Metrics of the assistant, exported from their first use on."""
        metrics = AssistantMetrics()
        self.registry.register(metrics)
        return metrics

    def export_assistant(self) -> None:
        """Export the assistant's metrics as zeros, because a rate needs a previous value."""
        _ = self.assistant

    def render(self, *, ready: bool, accepting: bool = True) -> bytes:
        """Render all metrics in the Prometheus text format."""
        self._ready.set(ready)
        self._accepting.set(accepting)
        return generate_latest(self.registry)


class _DatabaseCollector(Collector):
    """Collector of the state of the schema, the pool and the breakers."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self.breakers: dict[str, AsyncBreaker] = {"database": database.breaker}

    def collect(self) -> Iterator[Metric]:
        """Yield the state of the schema, the pool and the breakers."""
        schema = self._database.schema_version
        if schema is not None:
            yield InfoMetricFamily(
                "todo_database_schema",
                "Schema revision of the database, and that of the oldest compatible program.",
                value={"revision": schema.revision, "oldest_program": schema.oldest_program},
            )
        pool = self._database.pool
        connections = GaugeMetricFamily(
            "todo_database_pool_connections", "Pooled connections by state.", labels=["state"]
        )
        connections.add_metric(["in_use"], pool.checkedout())
        connections.add_metric(["idle"], pool.checkedin())
        yield connections
        yield GaugeMetricFamily(
            "todo_database_pool_size", "Maximum number of pooled connections.", value=pool.size()
        )
        yield GaugeMetricFamily(
            "todo_database_pool_waiters",
            "Requests waiting for a connection.",
            value=self._database.waiters,
        )
        state = GaugeMetricFamily(
            "todo_breaker_state",
            "1 for the current state of the breaker, 0 for the others.",
            labels=["breaker", "state"],
        )
        transitions = CounterMetricFamily(
            "todo_breaker_transitions",
            "Transitions of the breaker to this state.",
            labels=["breaker", "state"],
        )
        for name, breaker in self.breakers.items():
            current = breaker.state
            for each in BREAKER_STATES:
                state.add_metric([name, each], float(each == current))
                transitions.add_metric([name, each], breaker.transitions[each])
        yield state
        yield transitions
