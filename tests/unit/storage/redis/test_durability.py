from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.secret import Secret
from sidecar.storage.redis.durability import warn_unless_durable
from sidecar.storage.redis.link import RedisLink
from sidecar.storage.urls import RedisUrl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis_server import RedisServer


@pytest.fixture
async def link(own_redis: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(RedisUrl(host="127.0.0.1", port=own_redis.port))
    yield link
    await link.close()


async def test_a_server_that_may_forget_is_warned_of_with_its_remedy(
    own_redis: RedisServer, link: RedisLink, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.command("CONFIG SET appendonly no")
    own_redis.command("CONFIG SET maxmemory-policy allkeys-lru")
    await warn_unless_durable(link)

    assert "`appendonly yes`" in caplog.text
    assert "`maxmemory-policy noeviction`" in caplog.text


async def test_a_server_that_keeps_everything_is_not_warned_of(
    link: RedisLink, caplog: pytest.LogCaptureFixture
) -> None:
    await warn_unless_durable(link)

    assert caplog.text == ""


async def test_a_server_that_tells_nothing_of_itself_is_left_alone(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.command("ACL SETUSER quiet on >pass ~* &* +@all -info")
    link = RedisLink(
        RedisUrl(host="127.0.0.1", port=own_redis.port, username="quiet", password=Secret("pass"))
    )
    await warn_unless_durable(link)
    await link.close()

    assert "set `" not in caplog.text


async def test_a_server_that_comes_later_is_looked_at_then(
    own_redis: RedisServer, link: RedisLink, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.stop()
    looking = asyncio.ensure_future(warn_unless_durable(link))
    await asyncio.sleep(0)
    own_redis.start("--maxmemory-policy", "allkeys-lru")
    async with asyncio.timeout(10):
        await looking

    assert "`maxmemory-policy noeviction`" in caplog.text
