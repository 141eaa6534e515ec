"""Hold a box where a test wants it, and wait for a fact about it instead of sleeping.

A test that sleeps until "it should have happened by now" is slow on a good day and wrong on a bad one. A
`Gate` stops a request at a named point until the test lets it go; a `Watch` wakes the test when something
happened.

Scope: one event loop, no network.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Nobody waits this long for anything on loopback; it only turns a test that would hang into one that fails.
PATIENCE: Final = 20.0


class Gate:
    """A point that requests pass freely until it is held."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        """Stop whoever comes from now on."""
        self._open.clear()

    def release(self) -> None:
        """Let go those that wait, and those that come later."""
        self._open.set()

    async def passed(self) -> None:
        """Return as soon as the gate is open."""
        await self._open.wait()


class Watch:
    """Wake those who wait for a fact, whenever something may have made it true."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: set[asyncio.Event] = set()

    def changed(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    async def until(self, fact: Callable[[], bool], *, timeout: float = PATIENCE) -> None:
        """Return once `fact()` is true; raises `TimeoutError` if it is not within `timeout` seconds."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                while not fact():
                    await waiter.wait()
                    waiter.clear()
        finally:
            self._waiters.discard(waiter)
