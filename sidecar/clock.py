"""The two clocks, as one value that a test can turn by hand.

Scope: reading time. Nothing here sleeps; waiting belongs to the code that owns the wait.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where instants (`now`, epoch seconds) and durations (`monotonic`, seconds) come from."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
