"""What every store's nonces promise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.polling import eventually

if TYPE_CHECKING:
    from tests.contracts.conftest import Stores

LONG = 600.0
SHORT = 0.02
"""Seconds; over Redis the server's own clock must pass them."""


async def test_a_name_is_claimed_once(stores: Stores) -> None:
    assert await stores.one.nonces.claim("n-1", ttl=LONG)
    assert not await stores.one.nonces.claim("n-1", ttl=LONG)
    assert not await stores.other.nonces.claim("n-1", ttl=LONG)


async def test_of_many_who_claim_at_once_one_succeeds(stores: Stores) -> None:
    got = await asyncio.gather(
        *((stores.one if number % 2 else stores.other).nonces.claim("n", ttl=LONG) for number in range(50))
    )

    assert got.count(True) == 1


async def test_names_and_apps_do_not_meet(stores: Stores) -> None:
    await stores.one.nonces.claim("n", ttl=LONG)

    assert await stores.one.nonces.claim("n2", ttl=LONG)
    assert await stores.of_another_app.nonces.claim("n", ttl=LONG)


async def test_a_claim_ends_by_itself_and_no_sooner(stores: Stores) -> None:
    await stores.one.nonces.claim("long", ttl=LONG)
    await stores.one.nonces.claim("short", ttl=SHORT)

    async def is_free() -> bool:
        stores.clock.advance(SHORT)
        return await stores.other.nonces.claim("short", ttl=LONG)

    assert await eventually(is_free)
    assert not await stores.one.nonces.claim("short", ttl=LONG)
    assert not await stores.one.nonces.claim("long", ttl=LONG)


async def test_a_nonce_and_a_lease_of_one_name_do_not_meet(stores: Stores) -> None:
    await stores.one.leases.acquire("n", owner="x", ttl=LONG)

    assert await stores.one.nonces.claim("n", ttl=LONG)
