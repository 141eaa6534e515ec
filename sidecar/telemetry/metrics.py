"""What can be counted, with labels from closed sets only.

A label that carries a user, a path or an error text makes one time series per user, path or text and leaks
what it names, so every label here is a provider of the settings, a code, or a word of a table.

Scope: the series of the whole process. `docs/reference/metrics.md` lists them and a test compares.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

from sidecar import __version__
from sidecar.telemetry.tallies import Histogram, Tally

FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Seconds; what we add ourselves is far below a network's."""
SLOW: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds; what a provider's API takes, model calls included."""


class Metrics:
    """One registry and its series; one per process, handed to whoever counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._define_traffic()
        self._define_identity()
        self._define_tokens()
        self._define_process()

    def render(self) -> bytes:
        """Return the Prometheus text format, version 0.0.4."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Tally:
        return Tally(CounterMetricFamily, f"sidecar_{name}", text, labels, self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"sidecar_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"sidecar_{name}", text, labels, buckets, self.registry)

    def _define_traffic(self) -> None:
        self.requests = self._counter(
            "requests_total", "Answers sent on the proxy listener.", "provider", "method", "status"
        )
        self.request_duration = self._histogram(
            "request_duration_seconds", "Head read to last byte sent.", "provider", buckets=SLOW
        )
        self.overhead = self._histogram(
            "overhead_seconds",
            "Added by us: head read to upstream head sent.",
            "provider",
            "cache",
            buckets=FAST,
        )
        self.active_requests = Tally(
            GaugeMetricFamily,
            "sidecar_active_requests",
            "Requests being served on the proxy listener.",
            (),
            self.registry,
        )
        self.stream_bytes = self._counter(
            "stream_bytes_total", "Body bytes relayed.", "provider", "direction"
        )
        self.errors = self._counter("errors_total", "Errors of our own, by code.", "code")

    def _define_identity(self) -> None:
        self.jwt_verifications = self._counter("jwt_verifications_total", "Credentials judged.", "result")
        self.jwks_refresh = self._counter("jwks_refresh_total", "Fetches of the key set.", "result")
        self.jwks_age = self._gauge("jwks_age_seconds", "Seconds since the key set was last fetched.")
        self.policy_decisions = self._counter("policy_decisions_total", "Policy verdicts.", "effect", "mode")

    def _define_tokens(self) -> None:
        self.token_cache_requests = self._counter(
            "token_cache_requests_total", "Look-ups of access tokens.", "tier", "result"
        )
        self.token_refresh = self._counter(
            "token_refresh_total", "Calls to token endpoints.", "provider", "result"
        )
        self.token_refresh_duration = self._histogram(
            "token_refresh_duration_seconds", "A token endpoint's time.", "provider", buckets=SLOW
        )
        self.grant_resolution = self._counter(
            "grant_resolution_total", "Grants chosen, or why not.", "provider", "result"
        )
        self.store_up = self._gauge("store_up", "Whether the store answered last time.")
        self.store_operation_duration = self._histogram(
            "store_operation_duration_seconds", "A store operation's time.", "op", buckets=FAST
        )

    def _define_process(self) -> None:
        self.event_loop_lag = self._gauge("event_loop_lag_seconds", "How late the event loop woke up last.")
        self.build_info = self._gauge("build_info", "The running version.", "version")
        self.build_info.labels(version=__version__).set(1)
