"""Prometheus metrics: requests by route, the pool, the breaker, the build."""

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from todo import __version__
from todo.db import Database
from todo.models import EXPECTED_REVISION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One registry for the process."""

    def __init__(self, database: Database) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "todo_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "todo_http_request_duration_seconds",
            "Time from the request's headers to the end of the response.",
            ["method", "route", "status"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.registry.register(_DatabaseCollector(database))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def observe(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count one request.

        Args:
            method: Its method; unknown ones share one label, since a caller may invent any.
            route: Template of the route, never the path.
            status: Status of the response, kept as its class.
            duration_s: Seconds it took.
        """
        labels = (method if method in _METHODS else "other", route, f"{status // 100}xx")
        self._requests.labels(*labels).inc()
        self._durations.labels(*labels).observe(duration_s)

    def render(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self.registry)


class _DatabaseCollector(Collector):
    """Reads pool and breaker when scraped: nothing to keep in step meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        yield InfoMetricFamily(
            "todo_build",
            "Version of the program and the schema that it needs.",
            value={"version": __version__, "schema": EXPECTED_REVISION},
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
        state = GaugeMetricFamily(
            "todo_database_breaker_state", "1 for the breaker's state.", labels=["state"]
        )
        for name in ("closed", "half-open", "open"):
            state.add_metric([name], float(self._database.breaker.state == name))
        yield state
