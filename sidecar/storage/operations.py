"""Let every operation on a store end by itself, whoever stops waiting for it.

A caller hangs up between the moment a rotated refresh token was sent to the store and the answer. If the
write were cancelled with its caller, the only live token might be lost, or a connection be left with half a
reply in it.

Scope: one event loop; the adapters decide which of their operations run this way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Operations:
    """Running operations, owned by the store until they end."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, operation: Coroutine[Any, Any, T]) -> T:
        """Return what `operation` returns; a cancelled caller stops waiting and the operation goes on."""
        task = asyncio.get_running_loop().create_task(operation)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until every running operation has ended, however it ended."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # The caller may have gone; the failure then has nobody to reach and is not an accident.
            task.exception()
