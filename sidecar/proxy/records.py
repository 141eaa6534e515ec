"""What remains of a request once it is over: one record in the log, one observation in the metrics.

A record that carried a path, a query or a subject would be a list of what people did; it says which provider
was called, how it ended, how long it took and how much went by.

Scope: collecting and giving out. Labels come from closed sets.
"""

from __future__ import annotations

import secrets
from itertools import count
from typing import TYPE_CHECKING, Final

from sidecar.telemetry.access import AccessLog

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.telemetry.metrics import Metrics
    from sidecar.telemetry.tallies import Buckets

CALLER_GONE: Final = 499
"""nginx's number for a caller who hung up before an answer; it is never sent."""
NO_PROVIDER: Final = "none"
FIELDS: Final = (
    "provider",
    "method",
    "status",
    "code",
    "complete",
    "duration",
    "bytes_up",
    "bytes_down",
    "caller_kind",
    "caller",
)
"""What a line in the log says of a request, in this order."""


class Record:
    """A request while it is served.

    `status` is 0 until an answer's head went out, `code` is our error's, `is_complete` says the answer was
    sent whole; `bytes_up` and `bytes_down` count body bytes.
    """

    __slots__ = (
        "bytes_down",
        "bytes_up",
        "caller_kind",
        "caller_name",
        "code",
        "is_complete",
        "method",
        "number",
        "provider",
        "started_at",
        "status",
        "was_recalled",
    )

    def __init__(self, method: str, number: int, started_at: float) -> None:
        self.method = method
        self.number = number
        self.started_at = started_at
        self.provider = NO_PROVIDER
        self.caller_kind = ""
        self.caller_name = ""
        self.was_recalled = False
        self.code = ""
        self.status = 0
        self.is_complete = False
        self.bytes_up = 0
        self.bytes_down = 0


class Recorder:
    """Counts requests and writes their records."""

    __slots__ = ("_access", "_ends", "_metrics", "_now", "_numbers", "_prefix", "_sent")

    def __init__(self, *, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._now = clock.monotonic
        self._access = AccessLog(FIELDS)
        # Enough to find one request in a day's records of all processes, for less than a random number each.
        self._prefix = secrets.token_hex(4)
        self._numbers = count(secrets.randbelow(2**31))
        # Looked up once per combination of labels, which come from closed sets.
        self._ends: dict[tuple[str, str, int], _Ends] = {}
        self._sent: dict[tuple[str, bool], Buckets] = {}

    def begin(self, method: str) -> Record:
        self._metrics.active_requests.inc()
        return Record(method, next(self._numbers), self._now())

    def id_of(self, record: Record) -> str:
        """Return 16 hexadecimal digits that name the request in records, errors and log lines."""
        return f"{self._prefix}{record.number & 0xFFFFFFFF:08x}"

    def head_sent(self, record: Record) -> None:
        """Observe what we added before the provider saw the request."""
        key = (record.provider, record.was_recalled)
        series = self._sent.get(key)
        if series is None:
            cache = "hit" if record.was_recalled else "miss"
            series = self._sent[key] = self._metrics.overhead.labels(record.provider, cache)
        series.observe(self._now() - record.started_at)

    def refused(self, record: Record, code: str) -> None:
        record.code = code
        self._metrics.errors.labels(code).inc()

    def end(self, record: Record) -> None:
        """Close the record; to be called once, whatever happened."""
        status = record.status or CALLER_GONE
        duration = self._now() - record.started_at
        self._metrics.active_requests.inc(-1)
        key = (record.provider, record.method, status)
        ends = self._ends.get(key)
        if ends is None:
            ends = self._ends[key] = _Ends(self._metrics, *key)
        ends.requests.inc()
        ends.duration.observe(duration)
        ends.up.inc(record.bytes_up)
        ends.down.inc(record.bytes_down)
        self._access.write(
            self.id_of(record),
            (
                record.provider,
                record.method,
                status,
                record.code,
                record.is_complete,
                round(duration, 6),
                record.bytes_up,
                record.bytes_down,
                record.caller_kind,
                record.caller_name,
            ),
        )

    def flush(self) -> None:
        """Give out what is still gathered."""
        self._access.flush()


class _Ends:
    """The series that the end of a request touches, for one combination of labels."""

    __slots__ = ("down", "duration", "requests", "up")

    def __init__(self, metrics: Metrics, provider: str, method: str, status: int) -> None:
        self.requests = metrics.requests.labels(provider, method, str(status))
        self.duration = metrics.request_duration.labels(provider)
        self.up = metrics.stream_bytes.labels(provider, "up")
        self.down = metrics.stream_bytes.labels(provider, "down")
