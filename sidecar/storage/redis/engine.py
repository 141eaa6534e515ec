"""Put the Redis store together.

Scope: construction, and the tasks that live as long as the store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.storage.model import Storage
from sidecar.storage.redis.durability import warn_unless_durable
from sidecar.storage.redis.feed import RedisFeed
from sidecar.storage.redis.keys import Keys
from sidecar.storage.redis.leases import RedisLeases
from sidecar.storage.redis.link import RedisLink
from sidecar.storage.redis.nonces import RedisNonces
from sidecar.storage.redis.records import RedisRecords

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.storage.urls import RedisUrl


def redis_storage(url: RedisUrl, *, app: str, clock: Clock) -> Storage:
    """Return the store on the server of `url`; it works whenever the server does, before `start` or after."""
    link, keys = RedisLink(url), Keys(app)
    feed = RedisFeed(link, keys, clock)
    watches: list[asyncio.Task[None]] = []

    async def start() -> None:
        feed.start()
        watches.append(asyncio.get_running_loop().create_task(warn_unless_durable(link)))

    async def close() -> None:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await feed.close()
        await link.close()

    return Storage(
        records=RedisRecords(link, keys, tell=feed.tell),
        leases=RedisLeases(link, keys),
        nonces=RedisNonces(link, keys),
        feed=feed,
        is_shared=True,
        start=start,
        close=close,
    )
