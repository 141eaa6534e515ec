"""Wait for what another process or connection does, for a bounded time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Ask until the answer is yes, at most 5 seconds; say whether it came to that."""
    for _ in range(500):
        if await condition():
            return True
        await asyncio.sleep(0.01)
    return False
