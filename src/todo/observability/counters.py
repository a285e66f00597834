"""Counters whose labels have known values."""

import itertools
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics

# Creation times would add a series to each counter and histogram.
disable_created_metrics()  # type: ignore[no-untyped-call]


def make_counter(
    registry: CollectorRegistry, name: str, help_text: str, **labels: Iterable[str]
) -> Counter:
    """Return a counter whose series all exist from the start.

    Otherwise an alert would miss the first event, because a rate needs a previous value. `name` has
    no suffix `_total`; `labels` are the possible values of each label.
    """
    counter = Counter(name, help_text, list(labels), registry=registry)
    for values in itertools.product(*labels.values()):
        counter.labels(*values)
    return counter
