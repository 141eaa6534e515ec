"""Notice what has taken too long, with one timer for all of it.

A timer per request costs more than the rest of its bookkeeping, and almost none ever fires. Here everything
that may be late carries the instant at which it is, and one sweep compares them all.

Scope: one event loop. A deadline is met late by a tick at most: a quarter of the shortest limit, one second
where limits are long.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER: Final = math.inf
LONGEST_TICK: Final = 1.0
SHORTEST_TICK: Final = 0.005


class Mortal(Protocol):
    """Something with a deadline on the event loop's clock; `expire` is called on every sweep past it."""

    deadline: float

    def expire(self) -> None: ...


class Deadlines:
    """Watches over mortals; the timer runs only while there are any."""

    __slots__ = ("_mortals", "_tick", "_timer")

    def __init__(self, limits: Iterable[float]) -> None:
        self._tick = max(SHORTEST_TICK, min(LONGEST_TICK, min(limits) / 4))
        self._mortals: set[Mortal] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, mortal: Mortal) -> None:
        self._mortals.add(mortal)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    def forget(self, mortal: Mortal) -> None:
        self._mortals.discard(mortal)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._tick, self._sweep) if self._mortals else None
        now = loop.time()
        for mortal in [one for one in self._mortals if one.deadline <= now]:
            mortal.expire()
