"""What one sidecar remembers while another one writes, and while nobody can write or read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.storage.redis.feed import CURRENT_FOR
from tests.polling import eventually

if TYPE_CHECKING:
    from tests.integration.world import Sidecar, World
    from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
async def pair(world: World, redis_server: RedisServer) -> list[Sidecar]:
    """Two sidecars of one app over one Redis."""
    return [await world.sidecar(redis_server.url) for _ in range(2)]


async def is_warm(sidecar: Sidecar, jwt: str) -> bool:
    """Call once and say whether that was answered from memory."""
    assert (await sidecar.call("/files/echo", jwt)).status == 200
    hits = 'sidecar_token_cache_requests_total{result="hit",tier="memory"}'
    return hits in (await sidecar.ops("/metrics")).body.decode()


async def test_a_grant_removed_here_is_not_served_there(world: World, pair: list[Sidecar]) -> None:
    here, there = pair
    grant = await here.grant("ann")
    jwt = world.idp.token("ann")
    assert await eventually(lambda: is_warm(there, jwt))

    await here.admin(f"/grants/{grant}", method="DELETE")

    async def is_refused() -> bool:
        return (await there.call("/files/echo", jwt)).code == "no_delegated_grant"

    assert await eventually(is_refused)


async def test_tokens_replaced_here_are_used_there(world: World, pair: list[Sidecar]) -> None:
    here, there = pair
    await here.grant("ann")
    jwt = world.idp.token("ann")
    assert await eventually(lambda: is_warm(there, jwt))

    newer = world.provider.issue("ann")
    await here.grant("ann", pair=newer)

    async def uses_the_newer() -> bool:
        reply = await there.call("/files/echo", jwt)
        return ["Authorization", f"Bearer {newer.access_token}"] in reply.json()["headers"]

    assert await eventually(uses_the_newer)


async def test_a_token_refreshed_here_costs_no_call_there(world: World, pair: list[Sidecar]) -> None:
    here, there = pair
    await here.grant("ann", expires_in=600)
    world.advance(601)
    jwt = world.idp.token("ann")

    replies = [await sidecar.call("/files/echo", jwt) for sidecar in (here, there, here)]

    assert len({str(reply.json()["headers"]) for reply in replies}) == 1
    assert world.provider.token_calls == 1


@pytest.mark.parametrize(("grace", "served_for"), [("60s", 60.0), ("0s", 0.0)])
async def test_memory_outlives_the_store_by_its_grace(
    world: World, own_redis: RedisServer, grace: str, served_for: float
) -> None:
    sidecar = await world.sidecar(own_redis.url, outage_grace=grace)
    await sidecar.grant("ann", expires_in=7200)
    jwt = world.idp.token("ann", lifetime=7200)
    assert await eventually(lambda: is_warm(sidecar, jwt))
    own_redis.stop()

    # The last heartbeat may be a moment old, but the clock of this world has not moved since.
    world.advance(max(served_for, CURRENT_FOR) - 0.1)
    within = await sidecar.call("/files/echo", jwt)
    world.advance(0.2)
    beyond = await sidecar.call("/files/echo", jwt)

    assert (within.status, within.json()["user"]) == (200, "ann")
    assert (beyond.status, beyond.code) == (503, "store_unavailable")
