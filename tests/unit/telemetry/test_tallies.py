import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client import Histogram as StockHistogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from sidecar.telemetry.tallies import Histogram, Tally


def rendered(registry):
    text = generate_latest(registry).decode()
    return sorted(line for line in text.splitlines() if "_created" not in line)


def test_a_counter_looks_as_the_librarys_own():
    ours, stock = CollectorRegistry(), CollectorRegistry()
    tally = Tally(CounterMetricFamily, "a_total", "Text.", ("x", "y"), ours)
    counter = Counter("a_total", "Text.", ("x", "y"), registry=stock)

    for one in (tally, counter):
        one.labels("1", "2").inc()
        one.labels(y="2", x="1").inc(2.5)
        one.labels('"\n', "").inc(0)

    assert rendered(ours) == rendered(stock)


def test_a_histogram_looks_as_the_librarys_own():
    ours, stock = CollectorRegistry(), CollectorRegistry()
    mine = Histogram("a_seconds", "Text.", ("x",), (0.1, 1.0, 10.0), ours)
    theirs = StockHistogram("a_seconds", "Text.", ("x",), buckets=(0.1, 1.0, 10.0), registry=stock)

    for value in (0, 0.1, 0.11, 1, 9.9, 10, 11):
        mine.labels("1").observe(value)
        theirs.labels("1").observe(value)

    assert rendered(ours) == rendered(stock)


def test_without_labels_a_gauge_is_its_only_series():
    registry = CollectorRegistry()
    gauge = Tally(GaugeMetricFamily, "a", "Text.", (), registry)

    gauge.inc(3)
    gauge.inc(-1)

    assert "a 2.0" in rendered(registry)


def test_labels_have_to_be_complete():
    tally = Tally(CounterMetricFamily, "a_total", "Text.", ("x", "y"), CollectorRegistry())

    with pytest.raises(ValueError, match="labels"):
        tally.labels("1")
