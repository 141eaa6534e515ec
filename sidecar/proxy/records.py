"""What remains of a request once it is over: one record in the log, one observation in the metrics.

A record that carried a path, a query or a subject would be a list of what people did; it says which provider
was called, how it ended, how long it took and how much went by.

Scope: collecting and giving out. Labels come from closed sets (CONTRACT §10).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.proxy.incoming import Incoming
    from sidecar.telemetry.metrics import Metrics

ACCESS_LOGGER: Final = "sidecar.access"

log = logging.getLogger(ACCESS_LOGGER)

CALLER_GONE: Final = 499
"""nginx's number for a caller who hung up before an answer; it is never sent."""
NO_PROVIDER: Final = "none"


@dataclass(slots=True, kw_only=True)
class Record:
    """A request while it is served; `code` is our error's, `is_complete` says the answer was sent whole."""

    method: str
    started_at: float
    provider: str = NO_PROVIDER
    caller_kind: str = ""
    caller_name: str = ""
    was_recalled: bool = False
    code: str = ""
    is_complete: bool = False


class Recorder:
    """Counts requests and writes their records."""

    __slots__ = ("_clock", "_metrics")

    def __init__(self, *, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    def begin(self, method: str) -> Record:
        self._metrics.active_requests.inc()
        return Record(method=method, started_at=self._clock.monotonic())

    def head_sent(self, record: Record) -> None:
        """Observe what we added before the provider saw the request."""
        cache = "hit" if record.was_recalled else "miss"
        added = self._clock.monotonic() - record.started_at
        self._metrics.overhead.labels(provider=record.provider, cache=cache).observe(added)

    def refused(self, record: Record, code: str) -> None:
        record.code = code
        self._metrics.errors.labels(code=code).inc()

    def end(self, record: Record, incoming: Incoming) -> None:
        """Close the record; to be called once, whatever happened."""
        metrics, provider = self._metrics, record.provider
        status = incoming.status or CALLER_GONE
        duration = self._clock.monotonic() - record.started_at
        metrics.active_requests.dec()
        metrics.requests.labels(provider=provider, method=record.method, status=str(status)).inc()
        metrics.request_duration.labels(provider=provider).observe(duration)
        metrics.stream_bytes.labels(provider=provider, direction="up").inc(incoming.bytes_up)
        metrics.stream_bytes.labels(provider=provider, direction="down").inc(incoming.bytes_down)
        log.info(
            "request",
            extra={
                "provider": provider,
                "method": record.method,
                "status": status,
                "code": record.code,
                "complete": record.is_complete,
                "duration": round(duration, 6),
                "bytes_up": incoming.bytes_up,
                "bytes_down": incoming.bytes_down,
                "caller_kind": record.caller_kind,
                "caller": record.caller_name,
            },
        )
