"""Access tokens remembered in this process, by user, and forgotten the moment that user's grants change.

A token read from the store just before a revocation and remembered just after it would be served for an
hour. So every user's memory counts how often it was emptied, and what was read before is not put in after.

Scope: remembering. Whether a memory may be trusted at all is the broker's question to the change feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from sidecar.cache.local import LocalCache

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sidecar.clock import Clock
    from sidecar.grants.access import AccessToken
    from sidecar.grants.freshness import Ends

REMEMBERED_USERS: Final = 100_000
"""About 60 MiB when every one of them has one token."""
REMEMBERED_ASKS: Final = 64
"""Per user; a caller may spell an e-mail address in many ways, and each spelling is an ask."""
MEMORY_TTL: Final = 3600.0
"""Seconds; a user who has gone for the day needs no memory. Tokens end by their own time, long before."""


@dataclass(slots=True, kw_only=True)
class Remembered:
    """A token, its ends, and when its next background refresh may start (epoch seconds)."""

    token: AccessToken
    ends: Ends
    retry_at: float = 0.0


class UserMemory:
    """What is remembered of one user's grants; `epoch` counts the times it was emptied."""

    __slots__ = ("__weakref__", "_tokens", "epoch")

    def __init__(self) -> None:
        self.epoch = 0
        self._tokens: dict[Hashable, Remembered] = {}

    def get(self, ask: Hashable) -> Remembered | None:
        return self._tokens.get(ask)

    def put(self, ask: Hashable, remembered: Remembered, *, epoch: int) -> None:
        """Remember what was read at `epoch`, unless the memory was emptied since."""
        if epoch != self.epoch:
            return
        if len(self._tokens) >= REMEMBERED_ASKS:
            self._tokens.clear()
        self._tokens[ask] = remembered

    def forget(self) -> None:
        self.epoch += 1
        self._tokens.clear()


class TokenMemory:
    """The memories of all users, bounded; the least used are dropped.

    A user is found by what the caller presents (`key`), without a hash, and emptied by the tag that the
    change feed names. Several keys may lead to one user.
    """

    __slots__ = ("_by_key", "_by_tag")

    def __init__(self, clock: Clock) -> None:
        self._by_key: LocalCache[Hashable, UserMemory] = LocalCache(max_entries=REMEMBERED_USERS, clock=clock)
        self._by_tag: WeakValueDictionary[str, UserMemory] = WeakValueDictionary()

    def find(self, key: Hashable) -> UserMemory | None:
        return self._by_key.get(key)

    def open(self, key: Hashable, tag: str) -> UserMemory:
        """Return the memory of the user `tag`, from now on found under `key` too."""
        memory = self._by_tag.get(tag) or UserMemory()
        self._by_tag[tag] = memory
        self._by_key.put(key, memory, ttl=MEMORY_TTL)
        return memory

    def forget(self, tag: str) -> None:
        """Empty one user's memory, or with an empty tag everybody's."""
        if not tag:
            for memory in list(self._by_tag.values()):
                memory.forget()
            return
        found = self._by_tag.get(tag)
        if found is not None:
            found.forget()
