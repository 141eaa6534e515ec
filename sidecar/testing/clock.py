"""A clock that moves only when the test says so.

Tests of expiry that sleep are slow and wrong on a busy machine; with this clock an hour passes in no time
and two runs see the same instants.

Scope: reading and moving. Code that waits on the event loop's own timers is not moved by it.
"""

from __future__ import annotations


class ManualClock:
    """A `sidecar.clock.Clock` standing at `now` until `advance` moves it.

    Both readings move together. The monotonic one starts at 0, so a mix-up of the two shows at once.
    """

    __slots__ = ("_elapsed", "_start")

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._start = now
        self._elapsed = 0.0

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; time does not run backwards, so a negative number is refused."""
        if seconds < 0:
            raise ValueError("time runs forwards: advance by a positive number of seconds")
        self._elapsed += seconds
