"""Counters whose labels have known values."""

import itertools
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics

# Times of creation would be one more series for each counter and histogram.
disable_created_metrics()  # type: ignore[no-untyped-call]


def make_counter(
    registry: CollectorRegistry, name: str, help_text: str, **labels: Iterable[str]
) -> Counter:
    """Return a counter whose series all exist from the start.

    Otherwise an alert would miss the first event: a rate needs a value before it.

    Args:
        registry: Exports the counter.
        name: Name of the counter without `_total`.
        help_text: Help text of the metric.
        labels: Name of each label and its possible values.
    """
    counter = Counter(name, help_text, list(labels), registry=registry)
    for values in itertools.product(*labels.values()):
        counter.labels(*values)
    return counter
