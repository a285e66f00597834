"""HTTP requests to the backend's addresses, and parsing of its metrics."""

from __future__ import annotations

import dataclasses
import http.client
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deploy.stack.addresses import Address

_TIMEOUT_S = 20.0
"""Timeout of a request in seconds; the backend responds within a second unless the host is busy."""
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_MOST = 0.99


@dataclasses.dataclass(frozen=True)
class Sample:
    """A sample in Prometheus's text exposition format."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclasses.dataclass(frozen=True)
class Pool:
    """State of the connection pool: maximum size, used and idle connections, waiting requests."""

    size: int
    in_use: int
    idle: int
    waiters: int


@dataclasses.dataclass(frozen=True)
class LoopLag:
    """Lag of the event loop since the process started; `p99_s` is None above the largest bucket."""

    samples: int
    p99_s: float | None
    mean_s: float


@dataclasses.dataclass(frozen=True)
class Figures:
    """Metrics of a backend process.

    Attributes:
        version: Version of the program.
        schema: Schema revision that the program needs.
        database_schema: Schema revision of the database; None before the first connection.
        oldest_program: Revision of the oldest program that works with the schema, if known.
        started_at: Start time of the process.
        memory_bytes: Resident memory of the process.
        requests: Status class ("2xx") -> number of responses since the start.
        pool: State of the connection pool.
        breakers: Name of the circuit breaker -> "closed", "half-open" or "open".
        loop_lag: Lag of the event loop; None before the first measurement.
    """

    version: str
    schema: str
    database_schema: str | None
    oldest_program: str | None
    started_at: str | None
    memory_bytes: int | None
    requests: Mapping[str, int]
    pool: Pool
    breakers: Mapping[str, str]
    loop_lag: LoopLag | None


def get(address: Address, path: str, timeout_s: float = _TIMEOUT_S) -> tuple[int, bytes]:
    """Send a GET request, and return the status code and the body.

    Raises:
        DeployError: The address is unsupported, or the server did not respond.
    """
    if not (address.port or address.path):
        message = f"{address.text} is neither a TCP address nor a path"
        raise DeployError(message, code=ExitCode.UNAVAILABLE)
    connection = address.open_http(timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        message = f"no response from {address.text}: {error or type(error).__name__}"
        raise DeployError(message, code=ExitCode.UNAVAILABLE) from None
    finally:
        connection.close()


def fetch_figures(address: Address, timeout_s: float = _TIMEOUT_S) -> Figures:
    """Return the metrics of the process that listens on a management address.

    Raises:
        DeployError: The server did not respond, or its response is not the backend's metrics.
    """
    status, body = get(address, "/metrics", timeout_s)
    if status != http.client.OK:
        message = f"{address.url}/metrics returned {status}"
        raise DeployError(message, code=ExitCode.UNAVAILABLE)
    return find_figures(list(parse(body.decode(errors="replace"))))


def parse(text: str) -> Iterator[Sample]:
    """Yield the samples in Prometheus's text exposition format."""
    for name, labels, value in _SAMPLE.findall(text):
        found = {key: _ESCAPED.sub(_unescape, text) for key, text in _LABEL.findall(labels)}
        yield Sample(name, found, float(value))


def find_figures(samples: Iterable[Sample]) -> Figures:
    """Return the figures in the backend's metrics.

    Raises:
        DeployError: The metrics are those of another program.
    """
    found = _Samples(samples)
    build = found.labels("todo_build_info")
    if not build:
        message = "the program at the management address is not the backend"
        raise DeployError(message, code=ExitCode.UNAVAILABLE)
    requests: dict[str, int] = {}
    for sample in found.named("todo_http_requests_total"):
        status = sample.labels.get("status", "")
        requests[status] = requests.get(status, 0) + int(sample.value)
    connections = {
        sample.labels.get("state"): int(sample.value)
        for sample in found.named("todo_database_pool_connections")
    }
    schema = found.labels("todo_database_schema_info")
    started = found.find("process_start_time_seconds")
    memory = found.find("process_resident_memory_bytes")
    return Figures(
        version=build.get("version", ""),
        schema=build.get("schema", ""),
        database_schema=schema.get("revision"),
        oldest_program=schema.get("oldest_program") or None,
        started_at=None if started is None else datetime.fromtimestamp(started, UTC).isoformat(),
        memory_bytes=None if memory is None else int(memory),
        requests=dict(sorted(requests.items())),
        pool=Pool(
            size=int(found.find("todo_database_pool_size") or 0),
            in_use=connections.get("in_use", 0),
            idle=connections.get("idle", 0),
            waiters=int(found.find("todo_database_pool_waiters") or 0),
        ),
        breakers={
            sample.labels.get("breaker", ""): sample.labels.get("state", "")
            for sample in found.named("todo_breaker_state")
            if sample.value
        },
        loop_lag=_find_loop_lag(found),
    )


class _Samples:
    """Index of samples by name."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            self._by_name.setdefault(sample.name, []).append(sample)

    def named(self, name: str) -> list[Sample]:
        return self._by_name.get(name, [])

    def labels(self, name: str) -> Mapping[str, str]:
        found = self.named(name)
        return found[0].labels if found else {}

    def find(self, name: str) -> float | None:
        found = self.named(name)
        return found[0].value if found else None


def _find_loop_lag(found: _Samples) -> LoopLag | None:
    name = "todo_event_loop_lag_seconds"
    samples = int(found.find(f"{name}_count") or 0)
    if not samples:
        return None
    within = [
        float(sample.labels["le"])
        for sample in found.named(f"{name}_bucket")
        if sample.labels.get("le", "+Inf") != "+Inf" and sample.value >= _MOST * samples
    ]
    mean_s = (found.find(f"{name}_sum") or 0.0) / samples
    return LoopLag(samples, min(within, default=None), mean_s)


def _unescape(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
