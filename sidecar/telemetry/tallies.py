"""Count in plain integers, and show them to Prometheus when it asks.

`prometheus_client` takes a lock and walks its labels on every increment; six of them are a tenth of what a
request may cost. What is counted here is a number in a dictionary, folded into the registry at scrape.

Scope: one thread, the event loop's. A scrape on that same thread sees every series whole.
"""

from __future__ import annotations

from bisect import bisect_left
from math import inf
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import CollectorRegistry


class Cell:
    """One series of a counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        self.value += amount

    def set(self, value: float) -> None:
        self.value = value


class Buckets:
    """One series of a histogram: observations by the first bound that is not below them, and their sum."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Return what Prometheus calls buckets: bound and number of observations up to it."""
        total = 0
        rows = []
        for bound, count in zip((*self._bounds, inf), self.counts, strict=True):
            total += count
            rows.append((_bound(bound), float(total)))
        return rows


def _bound(bound: float) -> str:
    return "+Inf" if bound == inf else str(bound)


class Tally(Collector):
    """A counter or a gauge; without labels it is its only series."""

    __slots__ = ("_cells", "_labels", "_make")

    def __init__(
        self,
        family: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        text: str,
        labels: tuple[str, ...],
        registry: CollectorRegistry,
    ) -> None:
        self._labels = labels
        self._make: Callable[[], CounterMetricFamily | GaugeMetricFamily] = lambda: family(
            name, text, labels=labels
        )
        self._cells: dict[tuple[str, ...], Cell] = {}
        if not labels:
            self._cells[()] = Cell()
        registry.register(self)

    def labels(self, *values: str, **named: str) -> Cell:
        """Return the series of these labels, given in their order or by their names."""
        key = values or tuple(named[label] for label in self._labels)
        cell = self._cells.get(key)
        if cell is None:
            if len(key) != len(self._labels):
                raise ValueError(f"the labels are {self._labels}")
            cell = self._cells[key] = Cell()
        return cell

    def inc(self, amount: float = 1) -> None:
        self._cells[()].inc(amount)

    def set(self, value: float) -> None:
        self._cells[()].set(value)

    def describe(self) -> Iterable[Metric]:
        return [self._make()]

    def collect(self) -> Iterable[Metric]:
        family = self._make()
        for key, cell in self._cells.items():
            family.add_metric(key, cell.value)
        return [family]


class Histogram(Collector):
    """A histogram with fixed bounds."""

    __slots__ = ("_bounds", "_labels", "_name", "_series", "_text")

    def __init__(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...],
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = tuple(bounds)
        self._series: dict[tuple[str, ...], Buckets] = {}
        registry.register(self)

    def labels(self, *values: str, **named: str) -> Buckets:
        """Return the series of these labels, given in their order or by their names."""
        key = values or tuple(named[label] for label in self._labels)
        series = self._series.get(key)
        if series is None:
            if len(key) != len(self._labels):
                raise ValueError(f"the labels are {self._labels}")
            series = self._series[key] = Buckets(self._bounds)
        return series

    def describe(self) -> Iterable[Metric]:
        return [HistogramMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for key, series in self._series.items():
            family.add_metric(key, buckets=series.cumulated(), sum_value=series.sum)
        return [family]
