"""Remember values for a while, in a map that cannot grow without end.

A cache keyed by what callers send is a way to fill our memory, so the number of entries is bounded and the
one that was not asked for the longest makes room. An entry past its end is never returned, whether or not
anybody has cleaned up.

Scope: one process. There is no background task: an expired entry goes when it is met or evicted.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sidecar.clock import Clock

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class LocalCache(Generic[K, V]):
    """A least-recently-used map with an end per entry; every operation takes constant time."""

    __slots__ = ("_entries", "_max_entries", "_monotonic")

    def __init__(self, *, max_entries: int, clock: Clock) -> None:
        if max_entries < 1:
            raise ValueError("a cache holds at least one entry")
        self._max_entries = max_entries
        self._monotonic = clock.monotonic
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def __len__(self) -> int:
        """Count the entries held, those past their end included."""
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value, none when there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, *, ttl: float) -> None:
        """Keep `value` for `ttl` seconds; what is over at once (`ttl` not above 0) is not kept."""
        if ttl <= 0:
            self.drop(key)
            return
        self._entries[key] = (value, self._monotonic() + ttl)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget the entry, if there is one."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()
