"""Leave a grant's token endpoint alone for a while after it failed.

Without it every request that finds an expired token would call an endpoint that is already in trouble.

Scope: one process's memory of failures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.grants.model import GrantId

FIRST_REST: Final = 1.0
LONGEST_REST: Final = 30.0
"""Seconds; doubled after each failure, and no endpoint's Retry-After makes it longer."""
MOST_RESTS: Final = 10_000
"""Grants whose failures are remembered at once; beyond that the oldest failure is forgotten."""


@dataclass(frozen=True, slots=True)
class _Rest:
    failures: int
    until: float


class Rests:
    """How long each grant's token endpoint is left alone."""

    __slots__ = ("_clock", "_rests")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rests: dict[GrantId, _Rest] = {}

    def left(self, grant: GrantId) -> float:
        """Return how many seconds of rest are left, 0 when a call may be made."""
        rest = self._rests.get(grant)
        return 0.0 if rest is None else max(0.0, rest.until - self._clock.monotonic())

    def failed(self, grant: GrantId, *, asked: float | None) -> float:
        """Note a failure; return the rest: what the endpoint asked for, else longer after each failure."""
        before = self._rests.pop(grant, None)
        failures = before.failures + 1 if before else 1
        wanted = FIRST_REST * 2.0 ** min(failures - 1, 10) if asked is None else asked
        rest = min(LONGEST_REST, wanted)
        while len(self._rests) >= MOST_RESTS:
            del self._rests[next(iter(self._rests))]
        self._rests[grant] = _Rest(failures, self._clock.monotonic() + rest)
        return rest

    def succeeded(self, grant: GrantId) -> None:
        self._rests.pop(grant, None)
