from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sidecar.errors import StoreUnavailableError
from sidecar.grants.model import UserTag
from sidecar.grants.records import Record
from sidecar.grants.sealing import new_grant_id
from sidecar.storage.redis.feed import CURRENT_FOR
from sidecar.testing.clock import ManualClock
from tests.polling import eventually
from tests.stores import running

if TYPE_CHECKING:
    from sidecar.cache.shared import ChangeFeed
    from tests.redis_server import RedisServer

ALICE = UserTag("a" * 26)


async def becomes_current(feed: ChangeFeed) -> bool:
    async def is_current() -> bool:
        return feed.is_current

    return await eventually(is_current)


async def test_a_feed_without_a_server_is_deaf_since_it_was_made(own_redis: RedisServer) -> None:
    own_redis.stop()
    clock = ManualClock()
    clock.advance(7.0)
    async with running(own_redis.url, clock=clock) as storage:
        clock.advance(1.0)

        assert not storage.feed.is_current
        assert storage.feed.deaf_since == 7.0


async def test_a_feed_that_hears_no_heartbeat_is_deaf_since_the_last(own_redis: RedisServer) -> None:
    clock = ManualClock()
    async with running(own_redis.url, clock=clock) as storage:
        assert await becomes_current(storage.feed)
        own_redis.pause()
        clock.advance(CURRENT_FOR - 0.1)
        assert storage.feed.is_current
        clock.advance(0.1)

        assert not storage.feed.is_current
        assert storage.feed.deaf_since == 0.0
        own_redis.resume()


async def test_heartbeats_keep_a_quiet_feed_current(own_redis: RedisServer) -> None:
    clock = ManualClock()
    async with running(own_redis.url, clock=clock) as storage:
        assert await becomes_current(storage.feed)
        clock.advance(CURRENT_FOR)
        assert not storage.feed.is_current

        assert await becomes_current(storage.feed)


async def test_an_interruption_is_told_once_it_is_over_and_changes_are_heard_again(
    own_redis: RedisServer,
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    kept = Record(id=new_grant_id(ALICE), version=1, sealed=b"")
    async with running(own_redis.url) as storage, asyncio.timeout(10):
        assert await becomes_current(storage.feed)
        storage.feed.listen(heard.put_nowait)
        own_redis.stop()
        own_redis.start()
        told = await heard.get()

        async def is_written() -> bool:
            with suppress(StoreUnavailableError):
                return await storage.records.add(kept, revision=0)
            return False

        assert await eventually(is_written)
        assert told == ""
        assert await heard.get() == ALICE
