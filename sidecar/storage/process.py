"""Leases, nonces and changes when one process is all there is: a dictionary and a call.

Scope: one event loop. The memory and SQLite stores belong to one process and use these, except that
SQLite keeps nonces in its file; over Redis the same ports are kept by `sidecar.storage.redis`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.clock import Clock


class ProcessLeases:
    """`Leases` of one process; a lease whose time is over is free, whether or not it was released."""

    __slots__ = ("_clock", "_held")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}

    async def acquire(self, name: str, *, owner: str, ttl: float) -> bool:
        if self._owner_of(name) is not None:
            return False
        self._held[name] = (owner, self._clock.monotonic() + ttl)
        return True

    async def renew(self, name: str, *, owner: str, ttl: float) -> bool:
        if self._owner_of(name) != owner:
            return False
        self._held[name] = (owner, self._clock.monotonic() + ttl)
        return True

    async def release(self, name: str, *, owner: str) -> None:
        if self._owner_of(name) == owner:
            del self._held[name]

    def _owner_of(self, name: str) -> str | None:
        owner, ends_at = self._held.get(name, (None, 0.0))
        if ends_at > self._clock.monotonic():
            return owner
        self._held.pop(name, None)
        return None


class ProcessNonces:
    """`Nonces` of one process, gone with it."""

    __slots__ = ("_claimed", "_clock")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._claimed: dict[str, float] = {}

    async def claim(self, name: str, *, ttl: float) -> bool:
        now = self._clock.monotonic()
        self._forget_ended(now)
        if self._claimed.get(name, now) > now:
            return False
        self._claimed[name] = now + ttl
        return True

    def _forget_ended(self, now: float) -> None:
        # Oldest first. One with a longer life than its successors keeps them a little, which does no harm.
        while self._claimed:
            oldest = next(iter(self._claimed))
            if self._claimed[oldest] > now:
                return
            del self._claimed[oldest]


class ProcessFeed:
    """`ChangeFeed` of one process: always current, because the writer is the one who tells."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        self._listeners.append(heard)
        return lambda: self._listeners.remove(heard)

    def tell(self, tag: str) -> None:
        """Call every listener; one that ends its listening meanwhile disturbs no other."""
        for heard in tuple(self._listeners):
            heard(tag)

    @property
    def is_current(self) -> bool:
        return True

    @property
    def deaf_since(self) -> float | None:
        return None
