"""Families of metrics, rendered from plain numbers."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily


class Durations:
    """A histogram; prometheus_client's own takes a lock and twenty times as long."""

    __slots__ = ("_bounds", "_names", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._names = [*(str(float(bound)) for bound in bounds), "+Inf"]
        self.counts = [0] * len(self._names)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    def render(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add the buckets to a family, under the values of its labels."""
        total = 0
        buckets = []
        for name, count in zip(self._names, self.counts, strict=True):
            total += count
            buckets.append((name, float(total)))
        family.add_metric(labels, buckets, self.sum)


def render_counter(
    name: str, help_text: str, label: str, counts: Counter[str]
) -> CounterMetricFamily:
    """Return a family of counters that differ in one label."""
    family = CounterMetricFamily(name, help_text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
