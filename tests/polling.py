"""Wait for what another process or connection does, for a bounded time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], Awaitable[bool]], *, within: float = 5.0) -> bool:
    """Ask until the answer is yes, at most `within` seconds of waiting; say whether it came to that."""
    for _ in range(int(within * 100)):
        if await condition():
            return True
        await asyncio.sleep(0.01)
    return False
