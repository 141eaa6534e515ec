"""What every kind of lease promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.grants.model import UserTag
from sidecar.grants.sealing import new_grant_id
from tests.polling import eventually

if TYPE_CHECKING:
    from tests.contracts.conftest import Stores

LONG = 600.0
SHORT = 0.02
"""Seconds; over Redis the server's own clock must pass them."""


@pytest.fixture(params=["a grant's", "a word's"])
def name(request: pytest.FixtureRequest) -> str:
    return new_grant_id(UserTag("a" * 26)) if request.param == "a grant's" else "some { word } ä"


async def test_one_owner_has_a_lease_at_a_time(stores: Stores, name: str) -> None:
    assert await stores.one.leases.acquire(name, owner="x", ttl=LONG)
    assert not await stores.other.leases.acquire(name, owner="y", ttl=LONG)
    assert not await stores.one.leases.acquire(name, owner="x", ttl=LONG)


async def test_of_many_who_want_a_lease_one_gets_it(stores: Stores, name: str) -> None:
    got = await asyncio.gather(
        *(
            (stores.one if number % 2 else stores.other).leases.acquire(name, owner=str(number), ttl=LONG)
            for number in range(50)
        )
    )

    assert got.count(True) == 1


async def test_a_released_lease_is_free(stores: Stores, name: str) -> None:
    await stores.one.leases.acquire(name, owner="x", ttl=LONG)
    await stores.one.leases.release(name, owner="x")

    assert await stores.other.leases.acquire(name, owner="y", ttl=LONG)


async def test_nobody_releases_or_renews_what_somebody_else_holds(stores: Stores, name: str) -> None:
    await stores.one.leases.acquire(name, owner="x", ttl=LONG)
    await stores.other.leases.release(name, owner="y")

    assert not await stores.other.leases.renew(name, owner="y", ttl=LONG)
    assert not await stores.other.leases.acquire(name, owner="y", ttl=LONG)
    assert await stores.one.leases.renew(name, owner="x", ttl=LONG)


async def test_a_lease_ends_by_itself_and_its_holder_learns_of_it(stores: Stores, name: str) -> None:
    await stores.one.leases.acquire(name, owner="x", ttl=SHORT)

    async def is_free() -> bool:
        stores.clock.advance(SHORT)
        return await stores.other.leases.acquire(name, owner="y", ttl=LONG)

    assert await eventually(is_free)
    assert not await stores.one.leases.renew(name, owner="x", ttl=LONG)
    await stores.one.leases.release(name, owner="x")
    assert not await stores.one.leases.acquire(name, owner="x", ttl=LONG)


async def test_a_lease_that_ended_is_not_renewed(stores: Stores, name: str) -> None:
    await stores.one.leases.acquire(name, owner="x", ttl=SHORT)

    async def is_lost() -> bool:
        stores.clock.advance(SHORT)
        return not await stores.one.leases.renew(name, owner="x", ttl=SHORT / 4)

    assert await eventually(is_lost)


async def test_a_renewed_lease_outlives_its_first_end(stores: Stores, name: str) -> None:
    await stores.one.leases.acquire(name, owner="x", ttl=SHORT)
    assert await stores.one.leases.renew(name, owner="x", ttl=LONG)
    await stores.one.leases.acquire("a second one", owner="x", ttl=SHORT)

    async def is_the_second_free() -> bool:
        stores.clock.advance(SHORT)
        return await stores.one.leases.acquire("a second one", owner="y", ttl=LONG)

    assert await eventually(is_the_second_free)
    assert not await stores.other.leases.acquire(name, owner="y", ttl=LONG)


async def test_leases_of_different_names_and_apps_do_not_meet(stores: Stores, name: str) -> None:
    await stores.one.leases.acquire(name, owner="x", ttl=LONG)

    assert await stores.one.leases.acquire(f"{name}2", owner="y", ttl=LONG)
    assert await stores.of_another_app.leases.acquire(name, owner="y", ttl=LONG)
