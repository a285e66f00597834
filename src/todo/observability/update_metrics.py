"""Metrics of the last update, whose outcome `build.py update` stores in the database."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

RESULTS = ("updated", "refused", "rolled-back", "failed")


@dataclass(frozen=True, slots=True)
class UpdateState:
    """Last update: Unix time of its end, result (one of RESULTS), number of refused images."""

    at: float
    result: str
    refused: int


def parse_update(value: str | None) -> UpdateState | None:
    """Parse the outcome from the setting; return None if it is missing or malformed."""
    try:
        found = orjson.loads(value or "")
        at = datetime.fromisoformat(found["at"]).timestamp()
        state = UpdateState(at, str(found["result"]), int(found["refused"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    return state if state.result in RESULTS else None


def collect_update(state: UpdateState | None) -> Iterator[Metric]:
    """Yield the metrics of the last update; none without an update."""
    if state is None:
        return
    yield GaugeMetricFamily(
        "todo_update_timestamp_seconds", "End time of the last update.", value=state.at
    )
    results = GaugeMetricFamily(
        "todo_update_result", "1 for the outcome of the last update.", labels=["result"]
    )
    for result in RESULTS:
        results.add_metric([result], result == state.result)
    yield results
    yield GaugeMetricFamily(
        "todo_update_refused_images",
        "Images that updates do not try again, because they failed.",
        value=state.refused,
    )
