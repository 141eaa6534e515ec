"""Run one call per key, however many callers ask at once.

When an access token expires, every request that needs it notices in the same millisecond. Without this
module each would spend the same refresh token, and a provider that rotates refresh tokens reads the second
use as theft and revokes the grant.

The call belongs to the group and not to the caller that happened to start it: a cancelled caller stops
waiting, and the call goes on for the others.

Scope: one event loop. `sidecar.cache.shared` does the same across processes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Singleflight(Generic[K, V]):
    """Coalesce concurrent calls that share a key.

    Nothing is remembered once a call ends, so a failure reaches those already waiting and never those who
    ask later.
    """

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[K, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._calls)

    async def do(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return what `call` returns, or join the call running for `key`."""
        return await asyncio.shield(self.start(key, call))

    def start(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> asyncio.Task[V]:
        """Start `call`, or find the one running for `key`, without waiting for it."""
        task = self._calls.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(call())
            self._calls[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def drain(self) -> None:
        """Wait until every running call has ended, however it ended."""
        while self._calls:
            await asyncio.wait(list(self._calls.values()))

    def _ended(self, key: K, task: asyncio.Task[V]) -> None:
        del self._calls[key]
        if not task.cancelled():
            # Every waiter may have gone; the failure then has nobody to reach and is not an accident.
            task.exception()
