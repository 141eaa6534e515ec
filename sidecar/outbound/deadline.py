"""End a wait after a time, but not when the answer is there and we were the ones who were away.

A process can be stopped for longer than its deadlines: a container out of its CPU share, a suspended
machine. When it goes on, the timer and the answer are due at the same instant and the timer wins, so an
answer that arrived in time is thrown away. Of a token call that is the user's only live refresh token.

Scope: our own calls, of every kind.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def within(seconds: float, *, grace: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` when the block takes longer than `seconds`.

    A timer that fires late asks for as much time as it was late, `grace` seconds at most: the time in which
    what arrived meanwhile is read. One that fires on time asks for nothing.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:

        def fired() -> None:
            now = loop.time()
            scope.reschedule(now + min(grace, now - timer.when()))

        timer = loop.call_later(seconds, fired)
        try:
            yield
        finally:
            timer.cancel()
