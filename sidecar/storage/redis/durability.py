"""Say at start what a Redis that keeps the grants should be set to.

Redis as it comes loses the last seconds at a crash, and a server set up as a cache throws grants away when
its memory is full; a rotated refresh token lost that way is a grant lost.

Scope: one warning with its remedy; nothing is refused.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from sidecar.errors import StoreUnavailableError

if TYPE_CHECKING:
    from sidecar.storage.redis.link import RedisLink

log = logging.getLogger(__name__)


async def warn_unless_durable(link: RedisLink) -> None:
    """Look at the server once it is reached; a server that tells nothing of itself is left alone."""
    await _reached(link)
    try:
        # INFO, because managed servers allow it where they refuse CONFIG.
        persistence = await link.call("INFO", "persistence")
        memory = await link.call("INFO", "memory")
    except StoreUnavailableError:
        return
    if persistence.get("aof_enabled") == 0:
        log.warning("redis keeps no append-only file: grants can be lost at a crash; set `appendonly yes`")
    if memory.get("maxmemory_policy", "noeviction") != "noeviction":
        log.warning("redis evicts keys when its memory is full; set `maxmemory-policy noeviction`")


async def _reached(link: RedisLink) -> None:
    while True:
        with suppress(StoreUnavailableError):
            await link.call("PING")
            return
        await asyncio.sleep(1.0)
