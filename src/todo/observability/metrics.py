"""Prometheus metrics: requests, database, journal, limits, streams, assistant, event loop, build.

What is counted lives here as plain numbers, which a scrape reads: one thread counts, so nothing
needs a lock. docs/monitoring/README.md explains every metric; a test compares.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from todo import __version__
from todo.db.tables import EXPECTED_REVISION
from todo.observability.assistant_metrics import AssistantMetrics
from todo.observability.backup_metrics import BackupMetrics
from todo.observability.metric_families import Durations, render_counter

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

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One registry for the process."""

    def __init__(self, database: "Database") -> None:
        self.registry = CollectorRegistry()
        self._database = database
        self._breakers: dict[str, AsyncBreaker] = {"database": database.breaker}
        self._ready = False
        self._accepting = False
        self._requests: dict[tuple[str, str, int], Durations] = {}
        self._loop_lag = Durations(_LAG_BUCKETS_S)
        # Every label is there from the start: a rate over a series that only just appeared is
        # nothing, so that an alert would miss the first event.
        self._journal = Counter(dict.fromkeys(OPERATIONS, 0))
        self._limited = Counter(dict.fromkeys(LIMITS, 0))
        self._plans = Counter(dict.fromkeys(PLAN_OUTCOMES, 0))
        self._streams = Counter(dict.fromkeys(STREAMS, 0))
        self._over_quota = 0
        self._replays = 0
        self._retries = 0
        self._assistant: AssistantMetrics | None = None
        self.backups = BackupMetrics(database)
        self.registry.register(_Numbers(self))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def observe(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count one request.

        Args:
            method: Its method; unknown ones share one label, since a caller may invent any.
            route: Template of the route, never the path.
            status: Status of the response, shown as its class.
            duration_s: Seconds it took.
        """
        key = (method if method in _METHODS else "other", route, status // 100)
        durations = self._requests.get(key)
        if durations is None:
            durations = self._requests[key] = Durations(_REQUEST_BUCKETS_S)
        durations.add(duration_s)

    def observe_loop_lag(self, lag_s: float) -> None:
        """Count how late the event loop was to wake a task."""
        self._loop_lag.add(lag_s)

    def count_journal(self, operation: str, entries: int = 1) -> None:
        """Count entries of the journal, once they are committed.

        Args:
            operation: One of `OPERATIONS`.
            entries: How many.
        """
        self._journal[operation] += entries

    def count_limited(self, limit: Literal["address", "token", "writes"]) -> None:
        """Count a request that was refused with 429, by the limit that it met."""
        self._limited[limit] += 1

    def count_over_quota(self) -> None:
        """Count a write that was refused because its account would hold too much."""
        self._over_quota += 1

    def count_plan(self, outcome: str) -> None:
        """Count what became of a plan.

        Args:
            outcome: One of `PLAN_OUTCOMES`.
        """
        self._plans[outcome] += 1

    def count_replay(self) -> None:
        """Count a write that was answered with the stored answer of its Idempotency-Key."""
        self._replays += 1

    def count_retry(self) -> None:
        """Count a transaction that is repeated: a serialization failure or a deadlock."""
        self._retries += 1

    @contextlib.contextmanager
    def streaming(self, kind: Literal["events", "websocket", "assistant"]) -> Iterator[None]:
        """Count a stream as open for the length of the block."""
        self._streams[kind] += 1
        try:
            yield
        finally:
            self._streams[kind] -= 1

    def watch_breaker(self, name: str, breaker: "AsyncBreaker") -> None:
        """Show the state of another breaker than the database's.

        Args:
            name: What it guards.
            breaker: The breaker.
        """
        self._breakers[name] = breaker

    @property
    def assistant(self) -> AssistantMetrics:
        """The metrics of the assistant, exported from their first use on."""
        if self._assistant is None:
            self._assistant = AssistantMetrics()
        return self._assistant

    def export_assistant(self) -> None:
        """Export the metrics of the assistant as zeros: a rate needs the first value."""
        self._assistant = self.assistant

    def render(self, *, ready: bool, accepting: bool = True) -> bytes:
        """Return the text exposition.

        Args:
            ready: Whether the service can answer now.
            accepting: Whether it takes new connections now.
        """
        self._ready, self._accepting = ready, accepting
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what this class counts and what it reads now."""
        yield InfoMetricFamily(
            "todo_build",
            "Version of the program and the schema that it needs.",
            value={"version": __version__, "schema": EXPECTED_REVISION},
        )
        yield GaugeMetricFamily(
            "todo_ready", "1 when the service can answer, as `/readyz` says.", value=self._ready
        )
        yield GaugeMetricFamily(
            "todo_accepting",
            "1 when the service takes new connections, 0 when it leaves them to other instances.",
            value=self._accepting,
        )
        yield from self._collect_requests()
        yield from self._collect_database()
        yield render_counter(
            "todo_journal_entries", "Entries of the journal committed.", "operation", self._journal
        )
        yield render_counter("todo_plans", "Plans, by what became of them.", "outcome", self._plans)
        yield render_counter(
            "todo_rate_limited_requests", "Requests refused with 429.", "limit", self._limited
        )
        yield CounterMetricFamily(
            "todo_over_quota_writes",
            "Writes refused because an account would hold more than its storage quota.",
            value=self._over_quota,
        )
        yield CounterMetricFamily(
            "todo_idempotent_replays",
            "Writes answered with the stored answer of their Idempotency-Key.",
            value=self._replays,
        )
        streams = GaugeMetricFamily("todo_streams", "Streams of events open.", labels=["kind"])
        for kind, count in self._streams.items():
            streams.add_metric([kind], count)
        yield streams
        lag = HistogramMetricFamily(
            "todo_event_loop_lag_seconds",
            "How late the event loop woke a task, measured twice a second.",
            labels=[],
        )
        self._loop_lag.render(lag, [])
        yield lag
        yield from self.backups.collect()
        if self._assistant is not None:
            yield from self._assistant.collect()

    def _collect_requests(self) -> Iterator[Metric]:
        labels = ["method", "route", "status"]
        counts = CounterMetricFamily("todo_http_requests", "Requests answered.", labels=labels)
        durations = HistogramMetricFamily(
            "todo_http_request_duration_seconds",
            "Time from the request's headers to the end of the response.",
            labels=labels,
        )
        for (method, route, status), found in sorted(self._requests.items()):
            values = [method, route, f"{status}xx"]
            counts.add_metric(values, sum(found.counts))
            found.render(durations, values)
        yield counts
        yield durations

    def _collect_database(self) -> Iterator[Metric]:
        schema = self._database.schema_version
        if schema is not None:
            yield InfoMetricFamily(
                "todo_database_schema",
                "Revision of the database's schema, and of the oldest program that works with it.",
                value={"revision": schema.revision, "oldest_program": schema.oldest_program},
            )
        pool = self._database.pool
        connections = GaugeMetricFamily(
            "todo_database_pool_connections", "Connections by state.", labels=["state"]
        )
        connections.add_metric(["in_use"], pool.checkedout())
        connections.add_metric(["idle"], pool.checkedin())
        yield connections
        yield GaugeMetricFamily(
            "todo_database_pool_size", "Most connections at a time.", value=pool.size()
        )
        yield GaugeMetricFamily(
            "todo_database_pool_waiters",
            "Requests that wait for a connection.",
            value=self._database.waiters,
        )
        yield CounterMetricFamily(
            "todo_database_retries",
            "Transactions repeated after a serialization failure or a deadlock.",
            value=self._retries,
        )
        state = GaugeMetricFamily(
            "todo_breaker_state",
            "1 for the state that the breaker is in.",
            labels=["breaker", "state"],
        )
        transitions = CounterMetricFamily(
            "todo_breaker_transitions",
            "Changes of the breaker to this state.",
            labels=["breaker", "state"],
        )
        for name, breaker in self._breakers.items():
            current = breaker.state
            for each in BREAKER_STATES:
                state.add_metric([name, each], float(each == current))
                transitions.add_metric([name, each], breaker.transitions[each])
        yield state
        yield transitions


class _Numbers(Collector):
    """Lets the registry ask for what is counted when it is scraped."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()
